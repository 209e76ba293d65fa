"""Programs as flat arrays: what the compiled code reads instead of Python objects."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate
from typing import Any, NamedTuple

import numpy as np

from gpu.cpu.accumulate import BLOCK_BYTES, CHUNK
from gpu.cpu.jit import outer
from gpu.families import Prepared
from gpu.leaves import Floats, Instruction, Op
from gpu.prepare import DOUBLE, SINGLE, Batch

Record = Any
Records = np.ndarray[Any, Any]

TASK = np.dtype([(name, "i8") for name in ("n", "m", "symmetric", "leaf", "step", "step_end")])
"""A program: its sizes, and where its leaves and its instructions begin."""
LEAF = np.dtype(
    [(name, "i8") for name in ("base", "function", "k", "product", "u", "v", "weights", "p", "q", "table", "columns")]
    + [("a", "f8"), ("c", "f8")]
)
"""From u on, offsets into Packed.points, .others, .tables and .columns; -1 where there is none. product: of a Tile."""
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
    """u of every leaf as (n, k), and weights, p, q"""
    others: Floats
    """v of every leaf as (m, k)"""
    columns: Floats
    """v of every leaf without products as gpu/cpu/accumulate.py wants it, zeros after the last column"""
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


NO_PRODUCTS = {dtype: _no_products(dtype) for dtype in (SINGLE, DOUBLE)}


def pack(batch: Batch, products: Sequence[int] = ()) -> Packed:
    """Copy a batch into flat arrays.

    Args:
        batch: What to copy.
        products: Of a batch of one program, the leaves that take their products from a Tile, in its order.
    """
    pools = _Pools(_Pool(batch.dtype), _Pool(batch.dtype), _Pool(DOUBLE))
    leaves = _leaves(batch, pools)
    leaves["product"][list(products)] = range(len(products))
    steps = _steps(batch.codes)
    m = np.repeat(batch.columns.sizes, len(batch.leaves))
    block = BLOCK_BYTES // batch.dtype.itemsize
    sizes = -(-m // block) * block * leaves["k"] * (leaves["product"] < 0)
    leaves["columns"] = np.cumsum(sizes) - sizes
    columns = np.empty(int(sizes.sum()), batch.dtype)
    points, others, tables = (pool.array() for pool in pools)
    pack_columns(others, leaves, m, block, columns)
    return Packed(_tasks(batch), leaves, steps, points, others, columns, tables, _depth(batch.codes[0]))


def _steps(codes: Sequence[tuple[Instruction, ...]]) -> Records:
    """The records of all instructions; kernels of one leaf share the code itself, which is then read once."""
    shared = all(code is codes[0] for code in codes)
    read = codes[:1] if shared else codes
    steps = np.array([(step.op, step.index, step.value) for code in read for step in code], STEP)
    return np.tile(steps, len(codes)) if shared else steps


def _tasks(batch: Batch) -> Records:
    """The records of the programs themselves."""
    tasks = np.empty(len(batch.codes), TASK)
    tasks["n"], tasks["m"], tasks["symmetric"] = batch.x.sizes, batch.columns.sizes, batch.y is None
    numbers = np.arange(len(batch.codes))
    tasks["leaf"] = numbers * len(batch.leaves)
    tasks["step"] = numbers * len(batch.codes[0])
    tasks["step_end"] = tasks["step"] + len(batch.codes[0])
    return tasks


def _depth(code: Sequence[Instruction]) -> int:
    """How many values are on the stack at once."""
    change = {Op.LEAF: 1, Op.ADD: -1, Op.MULTIPLY: -1}
    return max(accumulate(change.get(step.op, 0) for step in code))


def _leaves(batch: Batch, pools: _Pools) -> Records:
    """The records of all leaves of a batch, program by program."""
    records = np.empty((len(batch.codes), len(batch.leaves)), LEAF)
    for index, leaf in enumerate(batch.leaves):
        _fill(records[:, index], leaf, batch, pools)
    return records.reshape(-1)


def _fill(record: Records, leaf: Prepared, batch: Batch, pools: _Pools) -> None:
    """The records of one leaf of every program."""
    points, others, tables = pools
    x, y, k = batch.x.starts, batch.columns.starts, leaf.u.shape[1]
    record["base"], record["function"], record["k"] = leaf.base, leaf.functions, k
    record["a"], record["c"] = leaf.a, leaf.c
    record["product"] = record["columns"] = -1
    record["u"] = points.add(leaf.u) + x * k
    record["v"] = others.add(leaf.v) + y * k
    record["p"] = -1 if leaf.p is None else points.add(leaf.p) + x
    record["q"] = -1 if leaf.q is None else points.add(leaf.q) + y
    record["weights"] = -1 if leaf.weights is None else [points.add(weights) for weights in leaf.weights]
    if leaf.tables is None:
        record["table"] = -1
    else:
        record["table"] = [-1 if table is None else tables.add_once(table) for table in leaf.tables]


class _Pool:
    """Arrays on their way into one."""

    def __init__(self, dtype: np.dtype[Any]) -> None:
        self._dtype = dtype
        self._parts: list[Floats] = []
        self._end = 0
        self._known: dict[int, int] = {}

    def add(self, array: Floats) -> int:
        """Its offset."""
        start = self._end
        self._parts.append(array.reshape(-1))
        self._end += array.size
        return start

    def add_once(self, array: Floats) -> int:
        """Its offset, where the same object may come again."""
        if id(array) not in self._known:
            self._known[id(array)] = self.add(array)
        return self._known[id(array)]

    def array(self) -> Floats:
        """All of them, read-only; a single one is not copied."""
        parts = self._parts or [np.empty(0, self._dtype)]
        whole = parts[0].view() if len(parts) == 1 else np.concatenate(parts)
        whole.flags.writeable = False  # of all or of none: numba compiles for either
        return whole


class _Pools(NamedTuple):
    """Of Packed.points, .others and .tables."""

    points: _Pool
    others: _Pool
    tables: _Pool


@outer
def pack_columns(others: Floats, leaves: Records, counts: Floats, block: int, columns: Floats) -> None:
    """Transpose v into blocks of columns, for every leaf that is summed directly."""
    for index in range(len(leaves)):
        leaf, m = leaves[index], counts[index]
        k = leaf.k if leaf.product < 0 else 0
        padded = (m + block - 1) // block * block
        for chunk in range(0, k, CHUNK):
            dimensions = min(CHUNK, k - chunk)
            for first in range(0, padded, block):
                at = leaf.columns + chunk * padded + first * dimensions
                target = columns[at : at + dimensions * block]
                for j in range(block):
                    start = leaf.v + min(first + j, m - 1) * k + chunk
                    source = others[start : start + dimensions]
                    for c in range(dimensions):
                        target[c * block + j] = source[c] if first + j < m else 0.0
