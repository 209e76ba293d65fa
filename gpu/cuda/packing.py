"""Programs as the two byte buffers that gram.cu reads, in the layouts of its head comment; pure NumPy."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from gpu.leaves import Base, Function, Instruction, Leaf, Op, Program

Floats = np.ndarray[Any, Any]
Bytes = np.ndarray[Any, np.dtype[np.uint8]]

TILE = 64
"""Rows and columns of a tile: tiles.cuh."""
MAX_STACK = 6
"""Values on the device's stack: gram.cu. An expression of 32 leaves in the order of `reordered` needs no more."""
ALIGNMENT = 16
"""Bytes; of every array and record, so that the device can load it whole."""
LINE = 32
"""Elements; every job's output begins at a multiple, so that its first writes are whole lines."""

JOB = np.dtype(
    {
        "names": ["rows", "first_row", "columns", "out", "leaves", "code", "code_length", "same", "mirror"],
        "formats": ["i8"] * 9,
    }
)
LEAF = np.dtype(
    {
        "names": ["u", "v", "p", "q", "weights", "table", "dimensions", "base", "function", "a", "c"],
        "formats": ["i8"] * 9 + ["f8"] * 2,
    }
)
INSTRUCTION = np.dtype([("op", "i8"), ("index", "i8"), ("value", "f8")])


@dataclass(frozen=True)
class Rows:
    """Rows [start, stop) of a program's matrix: one job of a launch."""

    program: Program
    start: int
    stop: int

    @property
    def columns(self) -> int:
        """Of the matrix."""
        return len(self.program.leaves[0].v)

    @property
    def size(self) -> int:
        """Entries."""
        return (self.stop - self.start) * self.columns

    @property
    def mirrored(self) -> bool:
        """Whether half of the tiles suffice: it is the whole of a symmetric matrix."""
        return self.program.symmetric and self.stop - self.start == self.columns

    @property
    def tiles(self) -> int:
        """Blocks of the launch."""
        down, across = ceil_div(self.stop - self.start, TILE), ceil_div(self.columns, TILE)
        return across * (across + 1) // 2 if self.mirrored else down * across


def whole(program: Program) -> Rows:
    """All rows of a program's matrix."""
    return Rows(program, 0, len(program.leaves[0].u))


@dataclass(frozen=True)
class Arrays:
    """The arrays of some programs in one buffer, and their leaves' records, by program."""

    buffer: Bytes
    leaves: dict[int, np.ndarray[Any, Any]]


@dataclass(frozen=True)
class Records:
    """One launch: what to compute, and where in the output each job lies."""

    buffer: Bytes
    n_blocks: int
    offsets: tuple[int, ...]
    size: int
    """Elements of the output."""


def pack_arrays(programs: Sequence[Program], dtype: np.dtype[Any]) -> Arrays:
    """Copies each array once, however many leaves share it."""
    pool = _Pool()
    leaves: dict[int, np.ndarray[Any, Any]] = {}
    for program in programs:
        records = [_leaf(leaf, precision(program, dtype), pool) for leaf in program.leaves]
        leaves[id(program)] = np.array(records, LEAF)
    # Points last: reading beyond the end of them, the likeliest mistake in a kernel, leaves the buffer.
    for program in programs:
        for record, leaf in zip(leaves[id(program)], program.leaves, strict=True):
            record["u"] = pool.add(leaf.u, precision(program, dtype))
            record["v"] = pool.add(leaf.v, precision(program, dtype))
    return Arrays(pool.buffer(), leaves)


def pack_records(jobs: Sequence[Rows], arrays: Arrays) -> Records:
    """The jobs of one launch, whose arrays are packed."""
    tiles = np.cumsum([0, *(job.tiles for job in jobs)])
    offsets = np.cumsum([0, *(ceil_div(job.size, LINE) * LINE for job in jobs)])
    records = np.zeros(len(jobs), JOB)
    parts: list[np.ndarray[Any, Any]] = [tiles.astype("i8"), records]
    end = tiles.nbytes + records.nbytes
    for record, job, out in zip(records, jobs, offsets[:-1], strict=True):
        leaves = arrays.leaves[id(job.program)]
        code = np.array([(step.op, step.index, step.value) for step in reordered(job.program.code)], INSTRUCTION)
        record["rows"], record["first_row"], record["columns"] = job.stop - job.start, job.start, job.columns
        record["out"], record["same"], record["mirror"] = out, job.program.symmetric, job.mirrored
        record["leaves"], record["code"], record["code_length"] = end, end + leaves.nbytes, len(code)
        parts += [leaves, code]
        end += leaves.nbytes + code.nbytes
    buffer = np.concatenate([part.view(np.uint8) for part in parts])
    return Records(buffer, int(tiles[-1]), tuple(map(int, offsets[:-1])), int(offsets[-1]))


def reordered(code: Iterable[Instruction]) -> tuple[Instruction, ...]:
    """The same expression with the operand that needs more of the stack first (Sethi and Ullman, 1970).

    32 leaves then need at most 6 values at once. Sums and products commute exactly, so the result is the same to
    the last bit.
    """
    stack: list[tuple[int, tuple[Instruction, ...]]] = []
    for step in code:
        if step.op is Op.LEAF:
            stack.append((1, (step,)))
        elif step.op in {Op.ADD, Op.MULTIPLY}:
            (right, last), (left, first) = stack.pop(), stack.pop()
            operands = last + first if right > left else first + last
            stack.append((max(left, right) + (left == right), (*operands, step)))
        else:
            need, operand = stack.pop()
            stack.append((need, (*operand, step)))
    ((need, steps),) = stack
    if need > MAX_STACK:
        raise ValueError(f"expected an expression that needs at most {MAX_STACK} values at once, got {need}")
    return steps


def precision(program: Program, dtype: np.dtype[Any]) -> np.dtype[Any]:
    """What the program is computed in: float64 if the points of any leaf are, never less than the job's dtype."""
    return np.result_type(dtype, *(leaf.u.dtype for leaf in program.leaves))


def ceil_div(size: int, part: int) -> int:
    """How many parts cover the size."""
    return -(-size // part)


def _leaf(leaf: Leaf, dtype: np.dtype[Any], pool: _Pool) -> tuple[float, ...]:
    """The record, but for the points."""
    named = (pool.add(array, dtype) for array in (leaf.p, leaf.q, leaf.weights, leaf.table))
    return (-1, -1, *named, leaf.u.shape[1], Base(leaf.base), Function(leaf.function), leaf.a, leaf.c)


class _Pool:
    """Arrays on their way into one buffer."""

    def __init__(self) -> None:
        self._arrays: dict[tuple[int, str], tuple[int, Floats]] = {}
        self._end = 0

    def add(self, array: Floats | None, dtype: np.dtype[Any]) -> int:
        """Its byte offset, the same one if it was added before; -1 for None."""
        if array is None:
            return -1
        key = (id(array), dtype.str)
        if key not in self._arrays:
            self._arrays[key] = (self._end, np.ascontiguousarray(array, dtype))
            self._end += ceil_div(array.size * dtype.itemsize, ALIGNMENT) * ALIGNMENT
        return self._arrays[key][0]

    def buffer(self) -> Bytes:
        """All of them, and at least one byte."""
        end = max((offset + array.nbytes for offset, array in self._arrays.values()), default=0)
        buffer = np.zeros(max(end, 1), np.uint8)
        for offset, array in self._arrays.values():
            buffer[offset : offset + array.nbytes] = array.reshape(-1).view(np.uint8)
        return buffer
