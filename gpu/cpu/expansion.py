"""Squared distances as ||u||^2 + ||v||^2 - 2 u . v, the product by BLAS: only where that keeps the digits.

The error of b is at most e = EPSILON (max ||u||^2 + max ||v||^2), as measured over the tests' data; the error of k is e
times the slope of f. Points for which that is too much are moved to their mean first. Functions that are steep at 0,
such as exp(-sqrt(b)), have no such bound: there b is summed again directly where it is below a cut.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from gpu.cpu.packing import Tile
from gpu.cpu.plan import Part, takes_product
from gpu.leaves import Base, Floats, Function, Leaf, Program

EPSILON = {np.dtype(np.float32): 2.0**-23, np.dtype(np.float64): 2.0**-52}
TOLERANCE = {np.dtype(np.float32): 1e-6, np.dtype(np.float64): 1e-13}
"""Of k, relative to the largest k."""
SLOPE_OF_A = {Function.EXP: 1.0, Function.MATERN32: 1 / 2, Function.MATERN52: 1 / 6}
"""max |df/db| / a."""
SLOPE = {Function.RATIONAL_QUADRATIC: 0.5, Function.ARC_COSINE_1: 0.5, Function.ARC_COSINE_2: 2.0}
"""max |df/db|"""
STEEPNESS = {Function.EXP_ROOT: 1.0, Function.ARC_COSINE_0: 1.0, Function.MATERN_TABLE: 10.0}
"""The change of k over sqrt(a b), about: for small nu it is larger still, but not above the cut."""
MAX_CUT = 0.1
"""Of a b: if more is summed again, so may be much of the matrix, slowly."""


@dataclass(frozen=True)
class Expansion:
    """A leaf whose products come from BLAS."""

    leaf: int
    u: Floats
    v: Floats
    row_norms: Floats
    column_norms: Floats
    cut: float


def expansions(program: Program) -> list[Expansion]:
    """Of the leaves that take products and keep their digits; the others are summed directly."""
    made = [_expand(index, leaf) for index, leaf in enumerate(program.leaves) if takes_product(leaf)]
    return [expansion for expansion in made if expansion is not None]


def tile(expansions: list[Expansion], part: Part, workspace: Floats, *, symmetric: bool) -> Tile:
    """The products of one part of the matrix. A tile of K(x, x) below the diagonal is its image, to the last bit."""
    rows, columns = part.row_end - part.row, part.column_end - part.column
    products = workspace[: len(expansions) * rows * columns].reshape(len(expansions), rows, columns)
    for product, expansion in zip(products, expansions, strict=True):
        u, v = expansion.u[part.row : part.row_end], expansion.v[part.column : part.column_end]
        if symmetric and part.row > part.column:
            product[...] = (v @ u.T).T
        else:
            np.matmul(u, v.T, out=product)
    return Tile(
        products,
        np.array([expansion.row_norms for expansion in expansions])[:, part.row : part.row_end],
        np.array([expansion.column_norms for expansion in expansions])[:, part.column : part.column_end],
        np.array([expansion.cut for expansion in expansions], products.dtype),
        part.row,
        part.column,
    )


def _expand(index: int, leaf: Leaf) -> Expansion | None:
    """None where the expansion would lose digits that direct sums keep."""
    if leaf.base is Base.DOT:
        nothing = np.zeros(max(len(leaf.u), len(leaf.v)), leaf.u.dtype)
        return Expansion(index, leaf.u, leaf.v, nothing[: len(leaf.u)], nothing[: len(leaf.v)], -1.0)
    unmoved = _of_points(index, leaf, leaf.u, leaf.v)
    if unmoved is not None and unmoved.cut < 0:
        return unmoved  # near enough to the origin: two copies of the points are saved
    centre = leaf.u.mean(axis=0, dtype=np.float64).astype(leaf.u.dtype)
    u = leaf.u - centre
    return _of_points(index, leaf, u, u if leaf.v is leaf.u else leaf.v - centre)


def _of_points(index: int, leaf: Leaf, u: Floats, v: Floats) -> Expansion | None:
    """The expansion of a distance between these points, which are the leaf's but for a shift."""
    row_norms = _squared_norms(u)
    column_norms = row_norms if v is u else _squared_norms(v)
    error = EPSILON[u.dtype] * (float(row_norms.max()) + float(column_norms.max()))
    cut = _cut(leaf, error)
    return None if cut is None else Expansion(index, u, v, row_norms, column_norms, cut)


def _cut(leaf: Leaf, error: float) -> float | None:
    """Below which b is to be summed again, -1 if nowhere, None if too much would be."""
    tolerance = TOLERANCE[leaf.u.dtype]
    if leaf.function in STEEPNESS:
        # The error of sqrt(a b) is sqrt(a / b) error / 2.
        cut = leaf.a * (STEEPNESS[leaf.function] * error / (2 * tolerance)) ** 2
        return cut if leaf.a * cut <= MAX_CUT else None
    slope = SLOPE_OF_A[leaf.function] * leaf.a if leaf.function in SLOPE_OF_A else SLOPE.get(leaf.function, 1.0)
    return -1.0 if slope * error <= tolerance else None


def _squared_norms(x: Any) -> Floats:
    return np.einsum("ij,ij->i", x, x)
