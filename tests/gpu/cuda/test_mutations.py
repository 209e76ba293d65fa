"""Defects planted in gram.cu are found, or the tests of it would prove nothing."""

import numpy as np
import pytest

from gpu.cuda import gram
from gpu.leaves import Base, Function
from tests.emulator.emulated import ORDERS, EmulatedDevice, Fault
from tests.gpu.cuda.programs import expected, leaf, program, single

MUTATIONS = {
    "points are overwritten while they are read": (
        "__syncthreads();  // what was in shared memory before has been read",
        "",
    ),
    "points are read before they are staged": ("__syncthreads();\n        Values<P> part", "Values<P> part"),
    "points are overwritten by the transpose": ("__syncthreads();  // the staged points have been read", ""),
    "the transpose is read before it is written": ("__syncthreads();\n        first = matrix", "first = matrix"),
    "a barrier that only some threads meet": (
        "if (tile.job.mirror && tile.row != tile.column)",
        "if (tile.job.mirror && tile.row != tile.column && tile.has(0, 0))",
    ),
    "a point beyond the last is read": ("r < count && c < depth ?", "r <= count && c < depth ?"),
    "a dimension beyond the last is read": ("r < count && c < depth ?", "r < count && c <= depth ?"),
    "a dimension is left out": ("for (int c = 0; c < depth; c++)", "for (int c = 1; c < depth; c++)"),
    "a column beyond the last is written": ("column_of(j) < width", "column_of(j) <= width"),
    "a row beyond the last is written": ("row_of(i) < height", "row_of(i) <= height"),
    "the transpose has no guard": ("if (row_of(i) < tile.width && column_of(j) < tile.height) first", "first"),
    "the transpose is not turned": ("turned[column_of(j)][row_of(i)] =", "turned[row_of(i)][column_of(j)] ="),
    "shared memory is four points short": ("STRIDE = TILE + 4", "STRIDE = TILE - 4"),
    "the triangle's numbering is off by one": ("c >= r + even", "c > r + even"),
    "a tile is given to the job before": ("if (tile_prefix[middle] <= tile)", "if (tile_prefix[middle] < tile)"),
    "the panel's first row is forgotten": ("job.first_row + row * TILE", "row * TILE"),
    "a matrix is written over another": ("T* matrix = out + tile.job.out;", "T* matrix = out;"),
    "the diagonal is every tile's": (
        "tile.row + row_of(i) == tile.column + column_of(j)",
        "row_of(i) == column_of(j)",
    ),
    "the factors are multiplied one after another": (
        "value[i][j] *= (p ? p[tile.row + row_of(i)] : P(1)) * (q",
        "value[i][j] = value[i][j] * (p ? p[tile.row + row_of(i)] : P(1)) * (q",
    ),
    "a stack of one value less": (
        "height--;\n                EACH_ENTRY(top[i][j] += below[height - 1]",
        "EACH_ENTRY(top[i][j] += below[height - 1]",
    ),
}


def one_leaf():
    """A ragged batch: two sides of one and a half tiles, an edge of one, a whole number of tiles."""
    kind = (Base.SQUARED, Function.EXP)
    shapes = [(97, None, 17), (1, 5, 3), (65, 129, 16), (5, 64, 1), (130, None, 2)]
    return [single(*kind, n, m, d=d, factors=True) for n, m, d in shapes]


def composite():
    leaves = [leaf(Base.SQUARED, Function.EXP, 70), leaf(Base.IDENTITY, Function.AFFINE, 70)]
    return [program(leaves, "0 1 + 0 +")]


def holds(device):
    """Whether the kernels do what they must."""
    for programs in (one_leaf(), composite()):
        panels = np.concatenate(list(gram.panels(programs[0], np.dtype("float64"), 64, device)))
        matrices = [panels, *gram.evaluate(programs, np.dtype("float64"), device)]
        for matrix, given in zip(matrices, [programs[0], *programs], strict=True):
            if not np.allclose(matrix, expected(given), rtol=0, atol=1e-13):
                return False
            if given.symmetric and (matrix != matrix.T).any():
                return False
    return True


@pytest.mark.parametrize("order", ORDERS)
def test_the_kernel_as_it_is_holds(order):
    assert holds(EmulatedDevice(order))


@pytest.mark.parametrize("edit", MUTATIONS.values(), ids=MUTATIONS)
def test_a_planted_defect_is_found(edit):
    def found(order):
        try:
            return not holds(EmulatedDevice(order, edits=[edit]))
        except Fault:
            return True

    assert any(found(order) for order in ORDERS)
