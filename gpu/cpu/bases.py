"""b(u, v) of a leaf on a strip: by direct sums, or from products that BLAS made."""

from __future__ import annotations

from typing import Any, NamedTuple

from gpu.cpu.accumulate import BLOCK_BYTES, CHUNK, ROWS, absolute, chi2, dot, sine, squared
from gpu.cpu.functions import ARC_COSINE_0
from gpu.cpu.intrinsics import like
from gpu.cpu.jit import inner
from gpu.cpu.packing import Packed, Tile
from gpu.leaves import Base, Floats

SQUARED, ABSOLUTE, DOT, SINE = int(Base.SQUARED), int(Base.ABSOLUTE), int(Base.DOT), int(Base.SINE)
CHI2, IDENTITY = int(Base.CHI2), int(Base.IDENTITY)

OPPOSITE = 3.5
"""Unit vectors at a squared distance above it are nearly opposite: 4 - b is then summed again without cancellation."""
TINY = 1e-30


class Window(NamedTuple):
    """The part of a matrix that a strip holds.

    Loops over one of its rows go over a slice: numba is slow where an index is computed, as it might be negative.
    """

    task: int
    row: int
    rows: int
    column: int
    columns: int
    padded: int
    """The columns, filled up to whole blocks: where the strip's next row begins."""


@inner
def fill(packed: Packed, leaf: int, window: Window, s: Floats) -> None:
    """Sum b directly."""
    record = packed.leaves[leaf]
    # One loop nest for each base: in a common one LLVM would merge their ends, and lose the sums' registers.
    if record.base == SQUARED:
        _sum(squared, packed, leaf, window, s)
        if record.function == ARC_COSINE_0:
            _opposite(packed, leaf, window, s)
    elif record.base == ABSOLUTE:
        _sum(absolute, packed, leaf, window, s)
    elif record.base == DOT:
        _sum(dot, packed, leaf, window, s)
    elif record.base == SINE:
        _sum(sine, packed, leaf, window, s)
    elif record.base == CHI2:
        _sum(chi2, packed, leaf, window, s)
    else:
        _identity(record.base == IDENTITY and packed.tasks[window.task].symmetric == 1, window, s)


@inner
def _sum(accumulate: Any, packed: Packed, leaf: int, window: Window, s: Floats) -> None:
    """Four rows at a time; a last group of fewer repeats the last row."""
    record, points = packed.leaves[leaf], packed.points
    k, width = record.k, window.padded
    block = BLOCK_BYTES // points.itemsize
    last = window.row + window.rows - 1
    m = (packed.tasks[window.task].m + block - 1) // block * block
    for c in range(0, k, CHUNK):
        dimensions = min(CHUNK, k - c)
        u, w = record.u + c, max(record.weights, 0) + c
        for q in range(0, width, block):
            v = record.columns + c * m + (window.column + q) * dimensions
            for r in range(0, window.rows, ROWS):
                i = window.row + r
                at = (u + i * k, u + min(i + 1, last) * k, u + min(i + 2, last) * k, u + min(i + 3, last) * k)
                accumulate(points, at, packed.columns, v, points, w, dimensions, s, r * width + q, width, c > 0)


@inner
def _identity(same: bool, window: Window, s: Floats) -> None:
    """0, and 1 where the point is the same."""
    for q in range(window.rows * window.padded):
        s[q] = 0.0
    if same:
        _set_diagonal(1.0, window, s)


@inner
def _set_diagonal(value: float, window: Window, s: Floats) -> None:
    shift = window.column - window.row
    for r in range(max(0, shift), min(window.rows, window.columns + shift)):
        s[r * window.padded + r - shift] = value


@inner
def fill_from_product(packed: Packed, tile: Tile, leaf: int, window: Window, s: Floats) -> None:
    """Take the product u . v from the tile, or the distance by it: exactly 0 on the diagonal of K(x, x)."""
    record = packed.leaves[leaf]
    first = window.column - tile.column
    for r in range(window.rows):
        row = window.row + r - tile.row
        z = tile.products[record.product, row, first : first + window.columns]
        target = s[r * window.padded : (r + 1) * window.padded]
        target[window.columns :] = 0.0
        if record.base == DOT:
            for q in range(window.columns):
                target[q] = z[q]
        else:
            norm = tile.row_norms[record.product, row]
            norms = tile.column_norms[record.product, first : first + window.columns]
            for q in range(window.columns):
                target[q] = max(norm + norms[q] - (z[q] + z[q]), like(norm, 0.0))
    if record.base == SQUARED:
        if packed.tasks[window.task].symmetric == 1:
            _set_diagonal(0.0, window, s)
        _sum_again(packed, tile.cuts[record.product], leaf, window, s)


@inner
def _sum_again(packed: Packed, cut: float, leaf: int, window: Window, s: Floats) -> None:
    """Distances that need more digits than the expansion leaves."""
    if cut >= 0:
        for r in range(window.rows):
            for q in range(window.columns):
                if s[r * window.padded + q] < cut:
                    s[r * window.padded + q] = distance(packed, leaf, window.row + r, window.column + q, -1.0)
    if packed.leaves[leaf].function == ARC_COSINE_0:
        _opposite(packed, leaf, window, s)


@inner
def _opposite(packed: Packed, leaf: int, window: Window, s: Floats) -> None:
    """Where unit vectors are nearly opposite: minus the squared distance from u to -v."""
    for r in range(window.rows):
        for q in range(window.columns):
            if s[r * window.padded + q] > OPPOSITE:
                rest = distance(packed, leaf, window.row + r, window.column + q, 1.0)
                s[r * window.padded + q] = -max(rest, TINY)


@inner
def distance(packed: Packed, leaf: int, i: int, j: int, sign: float) -> float:
    """||u_i + sign v_j||^2."""
    record = packed.leaves[leaf]
    k = record.k
    total = 0.0
    for c in range(k):
        t = packed.points[record.u + i * k + c] + sign * packed.others[record.v + j * k + c]
        total += t * t
    return total
