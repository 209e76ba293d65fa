"""Programs evaluated on strips: a few rows by at most 512 columns, which stay in the L1 cache from b to the result."""

from __future__ import annotations

import numpy as np

from gpu.cpu.accumulate import BLOCK_BYTES, ROWS, absolute, chi2, dot, sine, squared
from gpu.cpu.functions import ARC_COSINE_0, apply, power
from gpu.cpu.intrinsics import fma, like
from gpu.cpu.jit import inner, outer
from gpu.cpu.packing import Packed, Records, Tile
from gpu.leaves import Base, Floats, Op

STRIP = 2048
"""Numbers: 16 KiB in float64, half of the L1 cache."""
STRIP_COLUMNS = 512
MIRROR_BLOCK = 16
CHUNK = 64
"""Dimensions that are summed before they are added to the rest: float32's rounding errors then grow with k / 64."""

SQUARED, ABSOLUTE, DOT, SINE = int(Base.SQUARED), int(Base.ABSOLUTE), int(Base.DOT), int(Base.SINE)
CHI2, IDENTITY, NONE = int(Base.CHI2), int(Base.IDENTITY), int(Base.NONE)
LEAF, ADD, MULTIPLY, SCALE = int(Op.LEAF), int(Op.ADD), int(Op.MULTIPLY), int(Op.SCALE)

OPPOSITE = 3.5
"""Unit vectors at a squared distance above it are nearly opposite: 4 - b is then summed again without cancellation."""
TINY = 1e-30


@outer
def compute(packed: Packed, tile: Tile, parts: Records, first: int, last: int, out: Floats) -> None:
    """Parts first to last - 1 of the matrices; a part's first column is a multiple of STRIP_COLUMNS."""
    block = BLOCK_BYTES // packed.points.itemsize
    stack = np.empty((packed.depth + 1, STRIP), packed.points.dtype)
    for index in range(first, last):
        part = parts[index]
        for j in range(part.column, part.column_end, STRIP_COLUMNS):
            width = min(STRIP_COLUMNS, part.column_end - j)
            padded = (width + block - 1) // block * block
            height = STRIP // padded // ROWS * ROWS
            for i in range(part.row, part.row_end, height):
                rows = min(height, part.row_end - i)
                _strip(packed, tile, part.task, i, rows, j, padded, stack)
                at = part.out + (i - part.row) * part.stride + j - part.column
                _store(stack[0], rows, padded, out, at, part.stride, width)


@inner
def _store(s: Floats, rows: int, padded: int, out: Floats, at: int, stride: int, width: int) -> None:
    for r in range(rows):
        # Slices, because numba makes loops over computed indices slow: any of them might be negative.
        source, target = s[r * padded : r * padded + width], out[at + r * stride : at + r * stride + width]
        for q in range(width):
            target[q] = source[q]


@inner
def _strip(packed: Packed, tile: Tile, t: int, i: int, rows: int, j: int, padded: int, stack: Floats) -> None:
    """The program on `rows` rows from i by `padded` columns from j, into stack[0]."""
    size = (rows + ROWS - 1) // ROWS * ROWS * padded
    top = -1
    for step in range(packed.tasks[t].step, packed.tasks[t].step_end):
        op, index = packed.steps[step].op, packed.steps[step].index
        if op == LEAF:
            top += 1
            leaf = packed.tasks[t].leaf + index
            if packed.leaves[leaf].product < 0:
                _base(packed, t, leaf, i, rows, j, padded, stack[top])
            else:
                _from_product(packed, tile, t, leaf, i, rows, j, padded, stack[top])
            _function(packed, leaf, stack[top], stack[-1], size)
            _factors(packed, t, leaf, i, rows, j, padded, stack[top])
        elif op in (ADD, MULTIPLY):
            top -= 1
            combine(op, stack[top], stack[top + 1], size)
        else:
            _unary(op, index, packed.steps[step].value, stack[top], stack[-1], size)


@inner
def _function(packed: Packed, leaf: int, s: Floats, spare: Floats, size: int) -> None:
    record = packed.leaves[leaf]
    table = packed.tables[max(record.table, 0) :]
    apply(record.function, s, spare, size, record.a, record.c, table)


@inner
def combine(op: int, s: Floats, other: Floats, size: int) -> None:
    """Put s + other, or s other, into s."""
    if op == ADD:
        for q in range(size):
            s[q] += other[q]
    else:
        for q in range(size):
            s[q] *= other[q]


@inner
def _unary(op: int, exponent: int, value: float, s: Floats, spare: Floats, size: int) -> None:
    if op == SCALE:
        for q in range(size):
            s[q] *= like(s[q], value)
    else:
        power(s, spare, size, exponent)


@inner
def _base(packed: Packed, t: int, leaf: int, i: int, rows: int, j: int, padded: int, s: Floats) -> None:
    """b(u, v) by direct sums, four rows at a time; a last group of fewer repeats the last row."""
    record = packed.leaves[leaf]
    base, k = record.base, record.k
    if base in (IDENTITY, NONE):
        _identity(base == IDENTITY and packed.tasks[t].symmetric == 1, i, rows, j, padded, s)
        return
    block = BLOCK_BYTES // packed.points.itemsize
    last = i + rows - 1
    for c in range(0, k, CHUNK):
        dimensions = min(CHUNK, k - c)
        for r in range(0, rows, ROWS):
            u = record.u + c
            at = (
                u + (i + r) * k,
                u + min(i + r + 1, last) * k,
                u + min(i + r + 2, last) * k,
                u + min(i + r + 3, last) * k,
            )
            for q in range(0, padded, block):
                v = record.columns + (j + q) * k + c * block
                _block(packed, base, at, v, max(record.weights, 0) + c, dimensions, s, r * padded + q, padded, c > 0)
    if record.function == ARC_COSINE_0:
        _opposite(packed, leaf, i, rows, j, padded, min(padded, packed.tasks[t].m - j), s)


@inner
def _block(
    packed: Packed,
    base: int,
    u: tuple[int, int, int, int],
    v: int,
    w: int,
    k: int,
    s: Floats,
    at: int,
    padded: int,
    add: bool,
) -> None:
    points, columns = packed.points, packed.columns
    if base == SQUARED:
        squared(points, u, columns, v, points, u[0], k, s, at, padded, add)
    elif base == ABSOLUTE:
        absolute(points, u, columns, v, points, u[0], k, s, at, padded, add)
    elif base == DOT:
        dot(points, u, columns, v, points, u[0], k, s, at, padded, add)
    elif base == SINE:
        sine(points, u, columns, v, points, w, k, s, at, padded, add)
    else:
        chi2(points, u, columns, v, points, u[0], k, s, at, padded, add)


@inner
def _identity(same: bool, i: int, rows: int, j: int, padded: int, s: Floats) -> None:
    """0, and 1 where the point is the same."""
    for q in range(rows * padded):
        s[q] = 0.0
    if same:
        for r in range(max(0, j - i), min(rows, j + padded - i)):
            s[r * padded + i + r - j] = 1.0


@inner
def _factors(packed: Packed, t: int, leaf: int, i: int, rows: int, j: int, padded: int, s: Floats) -> None:
    """Multiply by p_i q_j."""
    p, q = packed.leaves[leaf].p, packed.leaves[leaf].q
    if p < 0 or q < 0:
        return
    columns = min(padded, packed.tasks[t].m - j)
    for r in range(rows):
        factor = packed.points[p + i + r]
        for c in range(columns):
            s[r * padded + c] *= factor * packed.points[q + j + c]


@inner
def _from_product(
    packed: Packed, tile: Tile, t: int, leaf: int, i: int, rows: int, j: int, padded: int, s: Floats
) -> None:
    """Put the product u . v into s, or the distance by it: exactly 0 on the diagonal of K(x, x)."""
    product = packed.leaves[leaf].product
    columns = min(padded, packed.tasks[t].m - j)
    for r in range(rows):
        row, at = i + r - tile.row, r * padded
        for c in range(columns):
            s[at + c] = tile.products[product, row, j - tile.column + c]
        for c in range(columns, padded):
            s[at + c] = 0.0
    if packed.leaves[leaf].base == SQUARED:
        _expand(tile, product, i, rows, j, padded, columns, s)
        if packed.tasks[t].symmetric == 1:
            for r in range(max(0, j - i), min(rows, j + columns - i)):
                s[r * padded + i + r - j] = 0.0
        _sum_again(packed, tile.cuts[product], leaf, i, rows, j, padded, columns, s)


@inner
def _expand(tile: Tile, product: int, i: int, rows: int, j: int, padded: int, columns: int, s: Floats) -> None:
    """||u||^2 + ||v||^2 - 2 u . v, at least 0."""
    for r in range(rows):
        norm, at = tile.row_norms[product, i + r - tile.row], r * padded
        for c in range(columns):
            b = norm + tile.column_norms[product, j - tile.column + c] - (s[at + c] + s[at + c])
            s[at + c] = max(b, like(b, 0.0))


@inner
def _sum_again(
    packed: Packed, cut: float, leaf: int, i: int, rows: int, j: int, padded: int, columns: int, s: Floats
) -> None:
    """Distances that need more digits than the expansion leaves."""
    if cut >= 0:
        for r in range(rows):
            for c in range(columns):
                if s[r * padded + c] < cut:
                    s[r * padded + c] = _distance(packed, leaf, i + r, j + c, -1.0)
    if packed.leaves[leaf].function == ARC_COSINE_0:
        _opposite(packed, leaf, i, rows, j, padded, columns, s)


@inner
def _opposite(packed: Packed, leaf: int, i: int, rows: int, j: int, padded: int, columns: int, s: Floats) -> None:
    """Where unit vectors are nearly opposite: minus the squared distance from u to -v."""
    for r in range(rows):
        for c in range(columns):
            if s[r * padded + c] > OPPOSITE:
                s[r * padded + c] = -max(_distance(packed, leaf, i + r, j + c, 1.0), TINY)


@inner
def _distance(packed: Packed, leaf: int, i: int, j: int, sign: float) -> float:
    """||u_i + sign v_j||^2."""
    record = packed.leaves[leaf]
    k = record.k
    total = 0.0
    for c in range(k):
        t = packed.points[record.u + i * k + c] + sign * packed.points[record.v + j * k + c]
        total += t * t
    return total


@outer
def diagonal(packed: Packed, t: int, out: Floats) -> None:
    """k(x_i, x_i) of one symmetric task."""
    n = packed.tasks[t].n
    stack = np.empty((packed.depth + 1, STRIP), packed.points.dtype)
    for i in range(0, n, STRIP):
        size = min(STRIP, n - i)
        top = -1
        for step in range(packed.tasks[t].step, packed.tasks[t].step_end):
            op, index = packed.steps[step].op, packed.steps[step].index
            if op == LEAF:
                top += 1
                leaf = packed.tasks[t].leaf + index
                _diagonal_leaf(packed, leaf, i, size, stack[top], stack[-1])
            elif op in (ADD, MULTIPLY):
                top -= 1
                combine(op, stack[top], stack[top + 1], size)
            else:
                _unary(op, index, packed.steps[step].value, stack[top], stack[-1], size)
        for q in range(size):
            out[i + q] = stack[0, q]


@inner
def _diagonal_leaf(packed: Packed, leaf: int, i: int, size: int, s: Floats, spare: Floats) -> None:
    record = packed.leaves[leaf]
    base, k, p = record.base, record.k, record.p
    for q in range(size):
        s[q] = 1.0 if base == IDENTITY else 0.0
    if base == DOT:
        for q in range(size):
            for c in range(k):
                u = packed.points[record.u + (i + q) * k + c]
                s[q] = fma(u, u, s[q])
    _function(packed, leaf, s, spare, size)
    if p >= 0:
        for q in range(size):
            s[q] *= packed.points[p + i + q] * packed.points[p + i + q]


@outer
def mirror(out: Floats, first_row: int, parts: Records, index: int) -> None:
    """Copy a tile of K(x, x) on or above the diagonal to its image, in blocks for the cache's sake.

    `out` begins with the matrix's row first_row.
    """
    part = parts[index]
    for i in range(part.row, part.row_end, MIRROR_BLOCK):
        for j in range(part.column, part.column_end, MIRROR_BLOCK):
            for q in range(j, min(j + MIRROR_BLOCK, part.column_end)):
                for r in range(i, min(i + MIRROR_BLOCK, part.row_end, q)):
                    out[(q - first_row) * part.stride + r] = out[(r - first_row) * part.stride + q]
