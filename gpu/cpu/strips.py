"""Programs evaluated on strips: some rows by at most 128 columns, which stay in the L1 cache from b to the result."""

from __future__ import annotations

import numpy as np

from gpu.cpu.accumulate import BLOCK_BYTES, ROWS
from gpu.cpu.bases import DOT, IDENTITY, SQUARED, Window, distance, fill, fill_from_product
from gpu.cpu.functions import apply, power
from gpu.cpu.intrinsics import fma, like
from gpu.cpu.jit import inner, outer
from gpu.cpu.packing import Packed, Record, Records, Tile
from gpu.leaves import Floats, Op

STRIP = 2048
"""Numbers: 16 KiB in float64, half of the L1 cache."""
STRIP_COLUMNS = 128
"""So few that a strip has 16 rows, for each of which a block of columns is read from the L1 cache."""
MIRROR_BLOCK = 16

LEAF, ADD, MULTIPLY, SCALE = int(Op.LEAF), int(Op.ADD), int(Op.MULTIPLY), int(Op.SCALE)


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
                window = Window(part.task, i, min(height, part.row_end - i), j, width, padded)
                _strip(packed, tile, window, stack)
                _store(stack[0], window, out, part.out + (i - part.row) * part.stride + j - part.column, part.stride)


@inner
def _store(s: Floats, window: Window, out: Floats, at: int, stride: int) -> None:
    for r in range(window.rows):
        source, target = s[r * window.padded : (r + 1) * window.padded], out[at + r * stride : at + (r + 1) * stride]
        for q in range(window.columns):
            target[q] = source[q]


@inner
def _strip(packed: Packed, tile: Tile, window: Window, stack: Floats) -> None:
    """The program on a window, into stack[0]."""
    task = packed.tasks[window.task]
    size = (window.rows + ROWS - 1) // ROWS * ROWS * window.padded
    top = -1
    for index in range(task.step, task.step_end):
        step = packed.steps[index]
        if step.op == LEAF:
            top += 1
            leaf = task.leaf + step.index
            if packed.leaves[leaf].product < 0:
                fill(packed, leaf, window, stack[top])
            else:
                fill_from_product(packed, tile, leaf, window, stack[top])
            _function(packed, leaf, stack[top], stack[-1], size)
            _factors(packed, leaf, window, stack[top])
        else:
            top = _combine(step, stack, top, size)


@inner
def _combine(step: Record, stack: Floats, top: int, size: int) -> int:
    """Do an instruction that is no leaf, and tell where the top of the stack is then."""
    if step.op in (ADD, MULTIPLY):
        top -= 1
    s, other = stack[top], stack[top + 1]
    if step.op == ADD:
        for q in range(size):
            s[q] += other[q]
    elif step.op == MULTIPLY:
        for q in range(size):
            s[q] *= other[q]
    elif step.op == SCALE:
        for q in range(size):
            s[q] *= like(s[q], step.value)
    else:
        power(s, stack[-1], size, step.index)
    return top


@inner
def _function(packed: Packed, leaf: int, s: Floats, spare: Floats, size: int) -> None:
    record = packed.leaves[leaf]
    table = packed.tables[max(record.table, 0) :]
    apply(record.function, s, spare, size, record.a, record.c, table)


@inner
def _factors(packed: Packed, leaf: int, window: Window, s: Floats) -> None:
    """Multiply by p_i q_j."""
    p, q = packed.leaves[leaf].p, packed.leaves[leaf].q
    if p < 0 or q < 0:
        return
    columns = packed.points[q + window.column : q + window.column + window.columns]
    for r in range(window.rows):
        factor = packed.points[p + window.row + r]
        target = s[r * window.padded : (r + 1) * window.padded]
        for c in range(window.columns):
            target[c] *= factor * columns[c]


@outer
def diagonal(packed: Packed, t: int, out: Floats) -> None:
    """k(x_i, x_i) of one symmetric task."""
    task = packed.tasks[t]
    n = task.n
    stack = np.empty((packed.depth + 1, STRIP), packed.points.dtype)
    for i in range(0, n, STRIP):
        size = min(STRIP, n - i)
        top = -1
        for index in range(task.step, task.step_end):
            step = packed.steps[index]
            if step.op == LEAF:
                top += 1
                _diagonal_leaf(packed, task.leaf + step.index, i, size, stack[top], stack[-1])
            else:
                top = _combine(step, stack, top, size)
        for q in range(size):
            out[i + q] = stack[0, q]


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


@inner
def _diagonal_leaf(packed: Packed, leaf: int, i: int, size: int, s: Floats, spare: Floats) -> None:
    """f(b(u, u)) of `size` points from i."""
    record = packed.leaves[leaf]
    for q in range(size):
        s[q] = _own(packed, leaf, i + q)
    _function(packed, leaf, s, spare, size)
    if record.p >= 0:
        for q in range(size):
            s[q] *= packed.points[record.p + i + q] * packed.points[record.q + i + q]


@inner
def _own(packed: Packed, leaf: int, i: int) -> float:
    """b(u_i, v_i) where u_i and v_i are the same point, though not the same numbers where it is an arc cosine's 0."""
    record = packed.leaves[leaf]
    total = packed.points.dtype.type(0.0)
    if record.base == IDENTITY:
        total += 1.0
    elif record.base == SQUARED:
        total += distance(packed, leaf, i, i, -1.0)
    elif record.base == DOT:
        for c in range(record.k):
            u = packed.points[record.u + i * record.k + c]
            total = fma(u, u, total)
    return total
