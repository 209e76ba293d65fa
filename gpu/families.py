"""Each family as leaves: which base quantity and function it is, and its points prepared without losing digits.

Distances of points that are far from the origin, or in distant clusters, must keep the digits of the small differences.
Where all dimensions share a lengthscale the points are therefore only scaled by a power of two, which is exact, and
the rest of the scale goes into the function. Else they are moved to the job's first point before they are scaled, with
an error of an ulp of the distance to it. A job whose float32 points would move a value by more than TOLERANCE
is `lossy`, and is then prepared in float64.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from gpu import matern
from gpu.leaves import Base, Floats, Function
from gpu.points import Stack
from mercer.kernels import Family

TOLERANCE = 1e-6
"""Absolute, of k / max k in float32: half of what is promised."""
EPSILON = 2.0**-24
"""Relative rounding error of float32."""
LIMIT = {np.dtype(np.float32): 1e18, np.dtype(np.float64): 1e150}
"""Prepared coordinates beyond it would overflow when they are squared."""
STEEPEST = 1.0
"""No stationary family changes by more than this over one lengthscale, but for Matern's with nu < 1/2."""
GAUSSIAN_STEEPEST = 0.61
"""exp(-1/2)"""


@dataclass(frozen=True)
class Stacks:
    """The points of the jobs: x, and y or None."""

    x: Stack
    y: Stack | None

    def both(self) -> tuple[Stack, ...]:
        """Those that there are."""
        return (self.x,) if self.y is None else (self.x, self.y)

    def highest(self, per_row: Callable[[Floats], Floats]) -> Floats:
        """(T,) the largest number of x's and y's rows in each job."""
        highest = [stack.highest(per_row(stack.values)) for stack in self.both()]
        return np.maximum(highest[0], highest[-1])


@dataclass(frozen=True)
class Prepared:
    """One leaf of T jobs."""

    base: Base
    functions: Sequence[Function]
    u: Floats
    """(rows of all jobs, k)"""
    v: Floats
    """The same object as u when y is absent."""
    a: Sequence[float] | Floats
    c: Sequence[float] | Floats
    weights: Sequence[Floats] | None = None
    p: Floats | None = None
    q: Floats | None = None
    tables: Sequence[Floats | None] | None = None
    lossy: Floats | bool = False
    """(T,) whether this precision does not suffice."""


Families = Sequence[Any]
"""Leaves of one family, one for each job."""


def prepare(leaves: Sequence[Family], x: Stack, y: Stack | None, dtype: np.dtype[Any]) -> Prepared:
    """The same leaf of T jobs, of one family and with the same active dimensions."""
    dimensions = leaves[0].active_dimensions
    points = Stacks(x.columns(dimensions), None if y is None else y.columns(dimensions))
    return PREPARE[leaves[0].family](leaves, points, dtype)


def _gaussian(leaves: Families, points: Stacks, dtype: np.dtype[Any]) -> Prepared:
    lengths = [(2 * k.gamma) ** -0.5 if k.gamma is not None else k.lengthscale or 1.0 for k in leaves]
    u, v, rest, lossy = _scaled(points, _matrix(lengths, points), dtype, _euclidean, steepest=GAUSSIAN_STEEPEST)
    return Prepared(Base.SQUARED, [Function.EXP] * len(leaves), u, v, 0.5 * rest**2, _zeros(leaves), lossy=lossy)


def _laplacian_l1(leaves: Families, points: Stacks, dtype: np.dtype[Any]) -> Prepared:
    lengths = [1 / k.gamma if k.gamma is not None else k.lengthscale or 1.0 for k in leaves]
    u, v, rest, lossy = _scaled(points, _matrix(lengths, points), dtype, _taxicab)
    return Prepared(Base.ABSOLUTE, [Function.EXP] * len(leaves), u, v, rest, _zeros(leaves), lossy=lossy)


def _exponential(leaves: Families, points: Stacks, dtype: np.dtype[Any]) -> Prepared:
    lengths = _matrix([k.lengthscale for k in leaves], points)
    u, v, rest, lossy = _scaled(points, lengths, dtype, _euclidean)
    return Prepared(Base.SQUARED, [Function.EXP_ROOT] * len(leaves), u, v, rest**2, _zeros(leaves), lossy=lossy)


CLOSED_FORMS = {0.5: Function.EXP_ROOT, 1.5: Function.MATERN32, 2.5: Function.MATERN52}


def _matern(leaves: Families, points: Stacks, dtype: np.dtype[Any]) -> Prepared:
    lengths = _matrix([k.lengthscale for k in leaves], points)
    nu = np.array([k.nu for k in leaves])
    steepest = np.where(nu < 0.5, np.inf, STEEPEST)
    u, v, rest, lossy = _scaled(points, lengths, dtype, _euclidean, steepest=steepest)
    functions = [CLOSED_FORMS.get(k.nu, Function.MATERN_TABLE) for k in leaves]
    tables = [None if k.nu in CLOSED_FORMS else matern.table(k.nu) for k in leaves]
    a = 2 * nu * rest**2
    return Prepared(Base.SQUARED, functions, u, v, a, _zeros(leaves), tables=tables, lossy=lossy)


def _rational_quadratic(leaves: Families, points: Stacks, dtype: np.dtype[Any]) -> Prepared:
    lengths = _matrix([k.lengthscale for k in leaves], points)
    u, v, _, lossy = _scaled(points, lengths, dtype, _euclidean, steepest=GAUSSIAN_STEEPEST, wholly=True)
    functions = [Function.RATIONAL_QUADRATIC] * len(leaves)
    return Prepared(Base.SQUARED, functions, u, v, [k.alpha for k in leaves], _zeros(leaves), lossy=lossy)


def _periodic(leaves: Families, points: Stacks, dtype: np.dtype[Any]) -> Prepared:
    """Points are reduced to the period around 0 first, which is exact: a far origin costs nothing."""
    periods = _matrix([k.period for k in leaves], points)
    weights = np.broadcast_to(2 / _matrix([k.lengthscale for k in leaves], points) ** 2, (len(leaves), _width(points)))

    def reduced(stack: Stack) -> Floats:
        period = stack.spread(periods)
        rest = np.fmod(stack.values, period)
        rest -= np.copysign(period, rest) * (np.abs(rest) > period / 2)
        return (rest * (np.pi / period)).astype(dtype)

    u, v = _each(points, reduced)
    # d exp(-z) <= 2 sqrt(z) exp(-z) sqrt(sum w) dt <= 0.86 sqrt(sum w) dt, and dt <= pi EPSILON.
    lossy = (dtype == np.float32) & (0.86 * np.pi * EPSILON * np.sqrt(weights.sum(axis=1)) > TOLERANCE)
    functions, ones = [Function.EXP] * len(leaves), [1.0] * len(leaves)
    return Prepared(Base.SINE, functions, u, v, ones, _zeros(leaves), weights=list(weights.astype(dtype)), lossy=lossy)


def _cosine(leaves: Families, points: Stacks, dtype: np.dtype[Any]) -> Prepared:
    u, v = _each(points, lambda stack: _directions(stack.values)[0].astype(dtype))
    return Prepared(Base.DOT, [Function.AFFINE] * len(leaves), u, v, [1.0] * len(leaves), _zeros(leaves))


def _linear(leaves: Families, points: Stacks, dtype: np.dtype[Any]) -> Prepared:
    u, v = _each(points, lambda stack: stack.values.astype(dtype, copy=False))
    ones, offsets = [1.0] * len(leaves), [k.offset for k in leaves]
    return Prepared(Base.DOT, [Function.AFFINE] * len(leaves), u, v, ones, offsets)


def _polynomial(leaves: Families, points: Stacks, dtype: np.dtype[Any]) -> Prepared:
    u, v = _times_root_gamma(leaves, points, dtype)
    functions = [Function.POLYNOMIAL] * len(leaves)
    return Prepared(Base.DOT, functions, u, v, [float(k.degree) for k in leaves], [k.offset for k in leaves])


def _sigmoid(leaves: Families, points: Stacks, dtype: np.dtype[Any]) -> Prepared:
    u, v = _times_root_gamma(leaves, points, dtype)
    # tanh is bounded: an error of its argument counts in full, and is of the size of ||u|| ||v||.
    largest = Stacks(points.x.with_values(u), points.y and points.y.with_values(v)).highest(_euclidean)
    lossy = (dtype == np.float32) & (2 * EPSILON * largest.astype(np.float64) ** 2 > TOLERANCE)
    ones, offsets = [1.0] * len(leaves), [k.offset for k in leaves]
    return Prepared(Base.DOT, [Function.TANH] * len(leaves), u, v, ones, offsets, lossy=lossy)


ARC_COSINES = (Function.ARC_COSINE_0, Function.ARC_COSINE_1, Function.ARC_COSINE_2)


def _arc_cosine(leaves: Families, points: Stacks, dtype: np.dtype[Any]) -> Prepared:
    """Unit vectors at a squared distance 4 sin^2(theta / 2), which keeps the digits of small angles."""
    orders = np.array([k.order for k in leaves], dtype=np.float64)
    unit = [_directions(stack.values) for stack in points.both()]
    p, q = (
        (norms ** stack.spread(orders)).astype(dtype)
        for (_, norms), stack in zip((unit[0], unit[-1]), (points.x, points.y or points.x), strict=True)
    )
    u, v = unit[0][0], unit[-1][0]
    if 0 in orders and any((norms == 0).any() for _, norms in unit):
        # A zero vector is at a right angle to all, itself included: x's get one more dimension, y's another.
        u = np.column_stack([u, unit[0][1] == 0, np.zeros(len(u))])
        v = np.column_stack([v, np.zeros(len(v)), unit[-1][1] == 0])
    u = u.astype(dtype)
    v = u if v is unit[0][0] else v.astype(dtype)
    functions = [ARC_COSINES[k.order] for k in leaves]
    return Prepared(Base.SQUARED, functions, u, v, [1.0] * len(leaves), _zeros(leaves), p=p, q=q)


def _chi2(leaves: Families, points: Stacks, dtype: np.dtype[Any]) -> Prepared:
    u, v, power, exact, largest = _histograms(points, dtype)
    gamma = np.array([k.gamma for k in leaves])
    # d exp(-z) <= 2 exp(-z) sqrt(z gamma sum (x + y)) EPSILON: an error of each coordinate, in proportion to it.
    lossy = ~exact & (2 * EPSILON * np.sqrt(gamma * largest) > TOLERANCE)
    return Prepared(Base.CHI2, [Function.EXP] * len(leaves), u, v, gamma * power, _zeros(leaves), lossy=lossy)


def _additive_chi2(leaves: Families, points: Stacks, dtype: np.dtype[Any]) -> Prepared:
    u, v, power, exact, _ = _histograms(points, dtype)
    return Prepared(Base.CHI2, [Function.AFFINE] * len(leaves), u, v, -power, _zeros(leaves), lossy=~exact)


def _constant(leaves: Families, points: Stacks, dtype: np.dtype[Any]) -> Prepared:
    u, v = _each(points, lambda stack: np.empty((len(stack.values), 0), dtype))
    return Prepared(Base.NONE, [Function.AFFINE] * len(leaves), u, v, _zeros(leaves), [k.value for k in leaves])


def _white(leaves: Families, points: Stacks, dtype: np.dtype[Any]) -> Prepared:
    u, v = _each(points, lambda stack: np.empty((len(stack.values), 0), dtype))
    return Prepared(Base.IDENTITY, [Function.AFFINE] * len(leaves), u, v, [k.variance for k in leaves], _zeros(leaves))


PREPARE: dict[str, Callable[[Families, Stacks, np.dtype[Any]], Prepared]] = {
    "gaussian": _gaussian,
    "laplacian_l1": _laplacian_l1,
    "exponential": _exponential,
    "matern": _matern,
    "rational_quadratic": _rational_quadratic,
    "periodic": _periodic,
    "cosine": _cosine,
    "linear": _linear,
    "polynomial": _polynomial,
    "sigmoid": _sigmoid,
    "arc_cosine": _arc_cosine,
    "chi2": _chi2,
    "additive_chi2": _additive_chi2,
    "constant": _constant,
    "white": _white,
}


def _scaled(
    points: Stacks,
    lengths: Floats,
    dtype: np.dtype[Any],
    norms: Callable[[Floats], Floats],
    *,
    steepest: float | Floats = STEEPEST,
    wholly: bool = False,
) -> tuple[Floats, Floats, Floats, Floats]:
    """u, v, what of 1 / lengthscale they do not hold (T,), and whether they are lossy (T,).

    Args:
        points: The points.
        lengths: (T, 1) or (T, k).
        dtype: Of u and v.
        norms: The norm of each row.
        steepest: The largest change of k over one lengthscale.
        wholly: Whether the function takes no scale, so that u and v must hold all of it.
    """
    power = np.exp2(np.round(np.log2(lengths[:, :1])))
    exact = (lengths == lengths[:, :1]).all(axis=1) & (not wholly) & _representable(points, dtype)
    scale = np.where(exact[:, None], power, lengths)
    rest = np.where(exact, power[:, 0] / lengths[:, 0], 1.0)
    origin = np.where(exact[:, None], 0.0, points.x.values[points.x.starts])

    def moved(stack: Stack) -> Floats:
        out = stack.values - stack.spread(origin)
        out /= stack.spread(scale)
        return out.astype(dtype, copy=False)

    u, v = _each(points, moved)
    reach = Stacks(points.x.with_values(u), points.y and points.y.with_values(v)).highest(norms).astype(np.float64)
    lossy = ~(reach < LIMIT[dtype])
    if dtype == np.float32:
        lossy |= ~exact & (steepest * 2 * reach * EPSILON > TOLERANCE)
    return u, v, rest, lossy


def _representable(points: Stacks, dtype: np.dtype[Any]) -> Floats:
    """(T,) whether the points are the same numbers in this precision."""
    if dtype == np.float64:
        return np.ones(len(points.x.sizes), dtype=bool)
    same = [stack.every((stack.values == stack.values.astype(dtype)).all(axis=1)) for stack in points.both()]
    return same[0] & same[-1]


def _histograms(points: Stacks, dtype: np.dtype[Any]) -> tuple[Floats, Floats, Floats, Floats, Floats]:
    """u, v divided by a power of two (T,), whether exact (T,), and the largest sum of two rows (T,)."""
    power = np.exp2(np.floor(np.log2(np.maximum(points.highest(lambda x: x.max(axis=1)), 1e-300))))
    u, v = _each(points, lambda stack: (stack.values / stack.spread(power[:, None])).astype(dtype))
    return u, v, power, _representable(points, dtype), 2 * points.highest(_taxicab)


def _times_root_gamma(leaves: Families, points: Stacks, dtype: np.dtype[Any]) -> tuple[Floats, Floats]:
    root = np.sqrt([k.gamma for k in leaves])[:, None]
    return _each(points, lambda stack: (stack.values * stack.spread(root)).astype(dtype))


def _each(points: Stacks, prepared: Callable[[Stack], Floats]) -> tuple[Floats, Floats]:
    """Prepare u from x, and v from y; the same object where y is absent."""
    u = prepared(points.x)
    return u, u if points.y is None else prepared(points.y)


def _directions(x: Floats) -> tuple[Floats, Floats]:
    """Unit vectors, zero for zero, and the norms; no square overflows."""
    largest = np.abs(x).max(axis=1, keepdims=True)
    unit = x / np.where(largest == 0, 1, largest)
    norms = _euclidean(unit)[:, None]
    unit /= np.where(norms == 0, 1, norms)
    return unit, (norms * largest)[:, 0]


def _matrix(values: Sequence[float | tuple[float, ...]], points: Stacks) -> Floats:
    """One row for each job: (T, 1) where all are single numbers, else (T, k)."""
    if all(isinstance(value, float) for value in values):
        return np.array(values)[:, None]
    return np.array([np.broadcast_to(value, _width(points)) for value in values])


def _width(points: Stacks) -> int:
    return points.x.values.shape[1]


def _zeros(leaves: Families) -> list[float]:
    return [0.0] * len(leaves)


def _euclidean(x: Floats) -> Floats:
    return np.sqrt(np.einsum("ij,ij->i", x, x))


def _taxicab(x: Floats) -> Floats:
    return np.abs(x).sum(axis=1)
