"""Programs as flat arrays: what the compiled code reads instead of Python objects."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate
from typing import Any, NamedTuple

import numpy as np

from gpu.cpu.accumulate import BLOCK_BYTES
from gpu.cpu.jit import outer
from gpu.leaves import Floats, Leaf, Op, Program

Records = np.ndarray[Any, Any]

TASK = np.dtype([(name, "i8") for name in ("n", "m", "symmetric", "leaf", "step", "step_end")])
"""A program: its sizes, and where its leaves and its instructions begin."""
LEAF = np.dtype(
    [(name, "i8") for name in ("base", "function", "k", "product", "u", "v", "weights", "p", "q", "table", "columns")]
    + [("a", "f8"), ("c", "f8")]
)
"""From u on, offsets into Packed.points, .tables and .columns; -1 where there is none. product: an index into Tile."""
STEP = np.dtype([("op", "i8"), ("index", "i8"), ("value", "f8")])
PART = np.dtype([(name, "i8") for name in ("task", "row", "row_end", "column", "column_end", "out", "stride")])
"""A rectangle of a matrix, and where its first entry lies in the output, whose rows are `stride` apart."""


class Packed(NamedTuple):
    """Programs of one precision; offsets count numbers."""

    tasks: Records
    """(programs,) TASK"""
    leaves: Records
    """(leaves,) LEAF, of all programs one after another"""
    steps: Records
    """(instructions,) STEP"""
    points: Floats
    """u and v of every leaf as (n, k), and weights, p, q"""
    columns: Floats
    """v of every leaf in blocks: (blocks, k, BLOCK), zeros after the last column"""
    tables: Floats
    """Matern tables, float64"""
    depth: int
    """The most values on the stack at once."""


class Tile(NamedTuple):
    """Products u v^T of some rows and columns, from BLAS, for the leaves that have a product index."""

    products: Floats
    """(products, rows, columns) of u - o and v - o, o a common origin"""
    row_norms: Floats
    """(products, rows): squared norms of u - o"""
    column_norms: Floats
    """(products, columns)"""
    cuts: Floats
    """(products,): below it b is summed again directly, as the expansion has lost its digits; < 0 where it has none"""
    row: int
    """Where the tile begins in the matrix."""
    column: int


def _no_products(dtype: np.dtype[Any]) -> Tile:
    return Tile(np.empty((0, 0, 0), dtype), np.empty((0, 0), dtype), np.empty((0, 0), dtype), np.empty(0, dtype), 0, 0)


NO_PRODUCTS = {dtype: _no_products(dtype) for dtype in (np.dtype(np.float32), np.dtype(np.float64))}


def pack(programs: Sequence[Program]) -> Packed:
    """Copy programs, all of one precision, into flat arrays."""
    dtype = programs[0].leaves[0].u.dtype
    points, tables = _Pool(dtype), _Pool(np.dtype(np.float64))
    leaves = np.array([_leaf(leaf, points, tables) for program in programs for leaf in program.leaves], LEAF)
    steps = np.array([(step.op, step.index, step.value) for program in programs for step in program.code], STEP)
    tasks = _tasks(programs)
    m = np.repeat(tasks["m"], [len(program.leaves) for program in programs])
    block = BLOCK_BYTES // dtype.itemsize
    sizes = -(-m // block) * block * leaves["k"]
    leaves["columns"] = np.cumsum(sizes) - sizes
    columns = np.empty(int(sizes.sum()), dtype)
    packed = Packed(tasks, leaves, steps, points.array(), columns, tables.array(), max(map(_depth, programs)))
    pack_columns(packed.points, leaves, m, block, columns)
    return packed


def _tasks(programs: Sequence[Program]) -> Records:
    """The records of the programs themselves."""
    tasks = np.empty(len(programs), TASK)
    tasks["n"] = [len(program.leaves[0].u) for program in programs]
    tasks["m"] = [len(program.leaves[0].v) for program in programs]
    tasks["symmetric"] = [program.symmetric for program in programs]
    leaves, steps = [len(program.leaves) for program in programs], [len(program.code) for program in programs]
    tasks["leaf"] = np.cumsum(leaves) - leaves
    tasks["step_end"] = np.cumsum(steps)
    tasks["step"] = tasks["step_end"] - steps
    return tasks


def _depth(program: Program) -> int:
    """How many values are on the stack at once."""
    if len(program.leaves) == 1:
        return 1
    change = {Op.LEAF: 1, Op.ADD: -1, Op.MULTIPLY: -1}
    return max(accumulate(change.get(step.op, 0) for step in program.code))


def _leaf(leaf: Leaf, points: _Pool, tables: _Pool) -> tuple[float, ...]:
    u = points.add(leaf.u)
    v = u if leaf.v is leaf.u else points.add(leaf.v)
    others = (points.add(leaf.weights), points.add(leaf.p), points.add(leaf.q), tables.add(leaf.table))
    return (leaf.base, leaf.function, leaf.u.shape[1], -1, u, v, *others, -1, leaf.a, leaf.c)


class _Pool:
    """Arrays on their way into one."""

    def __init__(self, dtype: np.dtype[Any]) -> None:
        self._dtype = dtype
        self._parts: list[Floats] = []
        self._end = 0

    def add(self, array: Floats | None) -> int:
        """Its offset, or -1 for None."""
        if array is None:
            return -1
        start = self._end
        self._parts.append(array.reshape(-1))
        self._end += array.size
        return start

    def array(self) -> Floats:
        """All of them; a single one is not copied."""
        if len(self._parts) == 1:
            return self._parts[0]
        return np.concatenate(self._parts) if self._parts else np.empty(0, self._dtype)


@outer
def pack_columns(points: Floats, leaves: Records, counts: Floats, block: int, columns: Floats) -> None:
    """Transpose every v into blocks of columns."""
    for index in range(len(leaves)):
        leaf, m = leaves[index], counts[index]
        k = leaf.k
        for first in range(0, m, block):
            for c in range(k):
                at = leaf.columns + first * k + c * block
                for j in range(min(block, m - first)):
                    columns[at + j] = points[leaf.v + (first + j) * k + c]
                for j in range(m - first, block):
                    columns[at + j] = 0.0
