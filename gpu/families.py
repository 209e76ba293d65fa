"""Each family as leaves: which base quantity and function it is, and its points prepared without losing digits."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from gpu import matern
from gpu.leaves import Base, Floats, Function
from gpu.points import Stack
from gpu.scaling import (
    EPSILON,
    GAUSSIAN_STEEPEST,
    LIMIT,
    STEEPEST,
    TOLERANCE,
    Stacks,
    directions,
    each,
    euclidean,
    histograms,
    matrix,
    scaled,
    taxicab,
    times_root_gamma,
    width,
)
from mercer.kernels import Family


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
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):  # what overflows is found to be lossy
        made = PREPARE[leaves[0].family](leaves, points, dtype)
        return replace(made, lossy=made.lossy | _overflows(made, points))


def _overflows(made: Prepared, points: Stacks) -> Floats:
    """(T,) whether a product of the prepared numbers may be infinite, and infinity times 0 not a number."""
    limit = LIMIT[made.u.dtype]
    large = ~(np.maximum(np.abs(made.a), np.abs(made.c)) < limit**2)
    if made.weights is not None:
        large |= [not np.isfinite(weights).all() for weights in made.weights]
    if made.base is Base.DOT:
        large |= ~(points.replaced(made.u, made.v).highest(lambda z: np.abs(z).max(axis=1)) < limit)
    return large


def _gaussian(leaves: Families, points: Stacks, dtype: np.dtype[Any]) -> Prepared:
    lengths = [(2 * k.gamma) ** -0.5 if k.gamma is not None else k.lengthscale or 1.0 for k in leaves]
    u, v, rest, lossy = scaled(points, matrix(lengths, points), dtype, euclidean, steepest=GAUSSIAN_STEEPEST)
    return Prepared(Base.SQUARED, [Function.EXP] * len(leaves), u, v, 0.5 * rest**2, _zeros(leaves), lossy=lossy)


def _laplacian_l1(leaves: Families, points: Stacks, dtype: np.dtype[Any]) -> Prepared:
    lengths = [1 / k.gamma if k.gamma is not None else k.lengthscale or 1.0 for k in leaves]
    u, v, rest, lossy = scaled(points, matrix(lengths, points), dtype, taxicab)
    return Prepared(Base.ABSOLUTE, [Function.EXP] * len(leaves), u, v, rest, _zeros(leaves), lossy=lossy)


def _exponential(leaves: Families, points: Stacks, dtype: np.dtype[Any]) -> Prepared:
    lengths = matrix([k.lengthscale for k in leaves], points)
    u, v, rest, lossy = scaled(points, lengths, dtype, euclidean)
    return Prepared(Base.SQUARED, [Function.EXP_ROOT] * len(leaves), u, v, rest**2, _zeros(leaves), lossy=lossy)


CLOSED_FORMS = {0.5: Function.EXP_ROOT, 1.5: Function.MATERN32, 2.5: Function.MATERN52}


def _matern(leaves: Families, points: Stacks, dtype: np.dtype[Any]) -> Prepared:
    lengths = matrix([k.lengthscale for k in leaves], points)
    nu = np.array([k.nu for k in leaves])
    steepest = np.where(nu < 0.5, np.inf, STEEPEST)
    u, v, rest, lossy = scaled(points, lengths, dtype, euclidean, steepest=steepest)
    functions = [CLOSED_FORMS.get(k.nu, Function.MATERN_TABLE) for k in leaves]
    tables = [None if k.nu in CLOSED_FORMS else matern.table(k.nu) for k in leaves]
    a = 2 * nu * rest**2
    return Prepared(Base.SQUARED, functions, u, v, a, _zeros(leaves), tables=tables, lossy=lossy)


def _rational_quadratic(leaves: Families, points: Stacks, dtype: np.dtype[Any]) -> Prepared:
    lengths = matrix([k.lengthscale for k in leaves], points)
    u, v, _, lossy = scaled(points, lengths, dtype, euclidean, steepest=GAUSSIAN_STEEPEST, wholly=True)
    functions = [Function.RATIONAL_QUADRATIC] * len(leaves)
    return Prepared(Base.SQUARED, functions, u, v, [k.alpha for k in leaves], _zeros(leaves), lossy=lossy)


def _periodic(leaves: Families, points: Stacks, dtype: np.dtype[Any]) -> Prepared:
    """Points are reduced to the period around 0 first, which is exact: a far origin costs nothing."""
    periods = matrix([k.period for k in leaves], points)
    weights = np.broadcast_to(2 / matrix([k.lengthscale for k in leaves], points) ** 2, (len(leaves), width(points)))

    def reduced(stack: Stack) -> Floats:
        period = stack.spread(periods)
        rest = np.fmod(stack.values, period)
        rest -= np.copysign(period, rest) * (np.abs(rest) > period / 2)
        return (rest * (np.pi / period)).astype(dtype)

    u, v = each(points, reduced)
    # d exp(-z) <= 2 sqrt(z) exp(-z) sqrt(sum w) dt <= 0.86 sqrt(sum w) dt, and dt <= pi EPSILON.
    lossy = (dtype == np.float32) & (0.86 * np.pi * EPSILON * np.sqrt(weights.sum(axis=1)) > TOLERANCE)
    functions, ones = [Function.EXP] * len(leaves), [1.0] * len(leaves)
    return Prepared(Base.SINE, functions, u, v, ones, _zeros(leaves), weights=list(weights.astype(dtype)), lossy=lossy)


def _cosine(leaves: Families, points: Stacks, dtype: np.dtype[Any]) -> Prepared:
    u, v = each(points, lambda stack: directions(stack.values)[0].astype(dtype))
    return Prepared(Base.DOT, [Function.AFFINE] * len(leaves), u, v, [1.0] * len(leaves), _zeros(leaves))


def _linear(leaves: Families, points: Stacks, dtype: np.dtype[Any]) -> Prepared:
    u, v = each(points, lambda stack: stack.values.astype(dtype, copy=False))
    ones, offsets = [1.0] * len(leaves), [k.offset for k in leaves]
    return Prepared(Base.DOT, [Function.AFFINE] * len(leaves), u, v, ones, offsets)


def _polynomial(leaves: Families, points: Stacks, dtype: np.dtype[Any]) -> Prepared:
    u, v = times_root_gamma(leaves, points, dtype)
    functions = [Function.POLYNOMIAL] * len(leaves)
    return Prepared(Base.DOT, functions, u, v, [float(k.degree) for k in leaves], [k.offset for k in leaves])


def _sigmoid(leaves: Families, points: Stacks, dtype: np.dtype[Any]) -> Prepared:
    u, v = times_root_gamma(leaves, points, dtype)
    # tanh is bounded: an error of its argument counts in full, and is of the size of ||u|| ||v||.
    largest = points.replaced(u, v).highest(euclidean)
    lossy = (dtype == np.float32) & (2 * EPSILON * largest.astype(np.float64) ** 2 > TOLERANCE)
    ones, offsets = [1.0] * len(leaves), [k.offset for k in leaves]
    return Prepared(Base.DOT, [Function.TANH] * len(leaves), u, v, ones, offsets, lossy=lossy)


ARC_COSINES = (Function.ARC_COSINE_0, Function.ARC_COSINE_1, Function.ARC_COSINE_2)


def _arc_cosine(leaves: Families, points: Stacks, dtype: np.dtype[Any]) -> Prepared:
    """Unit vectors at a squared distance 4 sin^2(theta / 2), which keeps the digits of small angles."""
    orders = np.array([k.order for k in leaves], dtype=np.float64)
    unit = [directions(stack.values) for stack in points.both()]
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
    u, v, power, exact, largest = histograms(points, dtype)
    gamma = np.array([k.gamma for k in leaves])
    # d exp(-z) <= 2 exp(-z) sqrt(z gamma sum (x + y)) EPSILON: an error of each coordinate, in proportion to it.
    lossy = ~exact & (2 * EPSILON * np.sqrt(gamma * largest) > TOLERANCE)
    return Prepared(Base.CHI2, [Function.EXP] * len(leaves), u, v, gamma * power, _zeros(leaves), lossy=lossy)


def _additive_chi2(leaves: Families, points: Stacks, dtype: np.dtype[Any]) -> Prepared:
    u, v, power, exact, _ = histograms(points, dtype)
    return Prepared(Base.CHI2, [Function.AFFINE] * len(leaves), u, v, -power, _zeros(leaves), lossy=~exact)


def _constant(leaves: Families, points: Stacks, dtype: np.dtype[Any]) -> Prepared:
    u, v = each(points, lambda stack: np.empty((len(stack.values), 0), dtype))
    return Prepared(Base.NONE, [Function.AFFINE] * len(leaves), u, v, _zeros(leaves), [k.value for k in leaves])


def _white(leaves: Families, points: Stacks, dtype: np.dtype[Any]) -> Prepared:
    u, v = each(points, lambda stack: np.empty((len(stack.values), 0), dtype))
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


def _zeros(leaves: Families) -> list[float]:
    return [0.0] * len(leaves)
