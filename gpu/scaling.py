"""Points made ready for a base quantity: scaled without losing digits, and told whether float32 holds them.

Distances of points that are far from the origin, or in distant clusters, must keep the digits of the small differences.
Where all dimensions share a lengthscale the points are therefore left as they are, or only scaled by a power of two,
which is exact, and the rest of the scale goes into the function. Else they are moved to the job's first point before
they are scaled, with an error of an ulp of the distance to it. A job whose float32 points would move a value by more
than TOLERANCE is `lossy`, and is then prepared in float64.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from gpu.leaves import Floats
from gpu.points import Stack

TOLERANCE = 1e-6
"""Absolute, of k / max k in float32: half of what is promised."""
EPSILON = 2.0**-24
"""Relative rounding error of float32."""
LIMIT = {np.dtype(np.float32): 1e18, np.dtype(np.float64): 1e150}
"""Prepared coordinates beyond it would overflow when they are squared and summed."""
USUAL = (1e-9, 1e9)
"""Lengthscales by which nothing can overflow or vanish that matters: the points need no scaling."""
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

    def replaced(self, u: Floats, v: Floats) -> Stacks:
        """Other values for x, and for y where there is one."""
        return Stacks(self.x.with_values(u), self.y and self.y.with_values(v))

    def highest(self, per_row: Callable[[Floats], Floats]) -> Floats:
        """(T,) the largest number of x's and y's rows in each job."""
        highest = [stack.highest(per_row(stack.values)) for stack in self.both()]
        return np.maximum(highest[0], highest[-1])


def scaled(
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
    usual = (lengths[:, :1] > USUAL[0]) & (lengths[:, :1] < USUAL[1])
    power = np.where(usual, 1.0, np.exp2(np.round(np.log2(lengths[:, :1]))))
    exact = (lengths == lengths[:, :1]).all(axis=1) & (not wholly) & representable(points, dtype)
    scale = np.where(exact[:, None], power, lengths)
    rest = np.where(exact, power[:, 0] / lengths[:, 0], 1.0)
    origin = np.where(exact[:, None], 0.0, points.x.values[points.x.starts].astype(np.float64))

    def moved(stack: Stack) -> Floats:
        if exact.all() and (scale == 1).all():
            return stack.values.astype(dtype, copy=False)
        out = stack.values - stack.spread(origin)
        out /= stack.spread(scale)
        return out.astype(dtype, copy=False)

    u, v = each(points, moved)
    reach = points.replaced(u, v).highest(norms).astype(np.float64)
    lossy = ~(reach < LIMIT[dtype])
    if dtype == np.float32:
        lossy |= ~exact & (steepest * 2 * reach * EPSILON > TOLERANCE)
    return u, v, rest, lossy


def representable(points: Stacks, dtype: np.dtype[Any]) -> Floats:
    """(T,) whether the points are the same numbers in this precision."""
    if dtype == np.float64 or points.x.values.dtype == dtype == points.both()[-1].values.dtype:
        return np.ones(len(points.x.sizes), dtype=bool)
    same = [stack.every((stack.values == stack.values.astype(dtype)).all(axis=1)) for stack in points.both()]
    return same[0] & same[-1]


def histograms(points: Stacks, dtype: np.dtype[Any]) -> tuple[Floats, Floats, Floats, Floats, Floats]:
    """u, v divided by a power of two (T,), whether exact (T,), and the largest sum of two rows (T,)."""
    power = np.exp2(np.floor(np.log2(np.maximum(points.highest(lambda x: x.max(axis=1)), 1e-300))))
    u, v = each(points, lambda stack: (stack.values / stack.spread(power[:, None])).astype(dtype))
    return u, v, power, representable(points, dtype), 2 * points.highest(taxicab)


def times_root_gamma(leaves: Sequence[Any], points: Stacks, dtype: np.dtype[Any]) -> tuple[Floats, Floats]:
    """Points whose products are gamma x . y."""
    root = np.sqrt([k.gamma for k in leaves])[:, None]
    return each(points, lambda stack: (stack.values * stack.spread(root)).astype(dtype))


def each(points: Stacks, prepared: Callable[[Stack], Floats]) -> tuple[Floats, Floats]:
    """Prepare u from x, and v from y; the same object where y is absent."""
    u = prepared(points.x)
    return u, u if points.y is None else prepared(points.y)


def directions(x: Floats) -> tuple[Floats, Floats]:
    """Unit vectors, zero for zero, and the norms; no square overflows."""
    x = x.astype(np.float64, copy=False)
    largest = np.abs(x).max(axis=1, keepdims=True)
    unit = x / np.where(largest == 0, 1, largest)
    norms = euclidean(unit)[:, None]
    unit /= np.where(norms == 0, 1, norms)
    return unit, (norms * largest)[:, 0]


def matrix(values: Sequence[float | tuple[float, ...]], points: Stacks) -> Floats:
    """One row for each job: (T, 1) where all are single numbers, else (T, k)."""
    if {*map(type, values)} == {float}:
        return np.array(values)[:, None]
    return np.array([np.broadcast_to(value, width(points)) for value in values])


def width(points: Stacks) -> int:
    """How many columns the points have."""
    return points.x.values.shape[1]


def euclidean(x: Floats) -> Floats:
    """The l2 norm of each row."""
    return np.sqrt(np.einsum("ij,ij->i", x, x))


def taxicab(x: Floats) -> Floats:
    """The l1 norm of each row."""
    return np.abs(x).sum(axis=1)
