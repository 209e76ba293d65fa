"""Programs as the two byte buffers that gram.cu reads, in the layouts of its head comment; pure NumPy.

A thousand small programs are packed by a few NumPy calls and one short loop, as Python would else cost more than all
of their computing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from gpu.leaves import Floats, Instruction, Op, Program

Integers = np.ndarray[Any, np.dtype[np.int64]]
Bytes = np.ndarray[Any, np.dtype[np.uint8]]

TILE = 64
"""Rows and columns of a tile: tiles.cuh."""
MAX_STACK = 6
"""Values on the device's stack: gram.cu. An expression of 32 leaves in the order of `reordered` needs no more."""
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
INSTRUCTION = np.dtype({"names": ["op", "index", "value"], "formats": ["i8", "i8", "f8"]})


@dataclass(frozen=True)
class Arrays:
    """The arrays of some programs in one buffer, and the records of all of their leaves."""

    buffer: Bytes
    leaves: np.ndarray[Any, Any]


@dataclass(frozen=True)
class Records:
    """One launch: what to compute, and where in the output each job lies."""

    buffer: Bytes
    n_blocks: int
    size: int
    """Elements of the output."""
    jobs: np.ndarray[Any, Any]
    """Of JOB."""

    def split(self, out: Floats) -> list[Floats]:
        """Each job's matrix, a view of the output."""
        places = zip(self.jobs["out"].tolist(), self.jobs["rows"].tolist(), self.jobs["columns"].tolist(), strict=True)
        return [out[start : start + rows * columns].reshape(rows, columns) for start, rows, columns in places]


def precision(program: Program, dtype: np.dtype[Any]) -> np.dtype[Any]:
    """What the program is computed in: float64 if the points of any leaf are, never less than the job's dtype."""
    return max((dtype, *(leaf.u.dtype for leaf in program.leaves)), key=lambda kind: kind.itemsize)


def pack_arrays(programs: Sequence[Program], precision: np.dtype[Any]) -> Arrays:
    """Each array once, however many leaves share it."""
    pool = Pool(precision)
    leaves = [leaf for program in programs for leaf in program.leaves]
    vectors = [(pool.add(leaf.p), pool.add(leaf.q), pool.add(leaf.weights), pool.add(leaf.table)) for leaf in leaves]
    # Points last: reading beyond the end of them, the likeliest mistake in a kernel, leaves the buffer.
    points = [(pool.add(leaf.u), pool.add(leaf.v)) for leaf in leaves]
    kinds = [(leaf.u.shape[1], leaf.base, leaf.function, leaf.a, leaf.c) for leaf in leaves]
    records = [(*p, *v, *k) for p, v, k in zip(points, vectors, kinds, strict=True)]
    return Arrays(pool.buffer(), np.array(records, LEAF))


def pack_records(programs: Sequence[Program], arrays: Arrays, panel: tuple[int, int] | None = None) -> Records:
    """One launch of programs whose arrays are packed.

    Args:
        programs: The programs.
        arrays: Theirs.
        panel: First and last row, exclusive, of the matrix of a single program; else all rows of each.
    """
    codes = [reordered(program.code) for program in programs]
    steps = np.array([(step.op, step.index, step.value) for code in codes for step in code], INSTRUCTION)
    jobs = np.zeros(len(programs), JOB)
    tiles = _place(jobs, programs, panel)
    jobs["code_length"] = [len(code) for code in codes]
    n_leaves = np.array([len(program.leaves) for program in programs])
    prefix = np.concatenate([[0], np.cumsum(tiles)])
    end = prefix.nbytes + jobs.nbytes
    jobs["leaves"] = end + starts(n_leaves) * LEAF.itemsize
    jobs["code"] = end + arrays.leaves.nbytes + starts(jobs["code_length"]) * INSTRUCTION.itemsize
    buffer = np.concatenate([part.view(np.uint8) for part in (prefix, jobs, arrays.leaves, steps)])
    last = jobs[-1]
    return Records(buffer, int(prefix[-1]), int(last["out"] + last["rows"] * last["columns"]), jobs)


def _place(jobs: np.ndarray[Any, Any], programs: Sequence[Program], panel: tuple[int, int] | None) -> Integers:
    """Fills in what to compute and where to write it; returns how many tiles each job has."""
    n_rows = np.array([len(program.leaves[0].u) for program in programs])
    columns = np.array([len(program.leaves[0].v) for program in programs])
    same = np.array([program.symmetric for program in programs])
    start, stop = panel or (0, n_rows)
    rows = stop - start + np.zeros_like(n_rows)
    mirror = same & (rows == n_rows)
    jobs["rows"], jobs["first_row"], jobs["columns"] = rows, start, columns
    jobs["same"], jobs["mirror"] = same, mirror
    jobs["out"] = starts(ceil_div(rows * columns, LINE) * LINE)
    down, across = ceil_div(rows, TILE), ceil_div(columns, TILE)
    return np.where(mirror, across * (across + 1) // 2, down * across)


def reordered(code: tuple[Instruction, ...]) -> tuple[Instruction, ...]:
    """The same expression with the operand that needs more of the stack first (Sethi and Ullman, 1970).

    32 leaves then need at most 6 values at once. Sums and products commute exactly, so the result is the same to
    the last bit.
    """
    if len(code) < 2 * MAX_STACK:
        return code  # of at most 6 leaves
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


def ceil_div(size: Any, part: int) -> Any:
    """How many parts cover the size."""
    return -(-size // part)


def starts(sizes: Integers) -> Integers:
    """Where each part begins when they lie one after another."""
    return np.cumsum(sizes) - sizes


class Pool:
    """Arrays on their way into one buffer."""

    def __init__(self, dtype: np.dtype[Any]) -> None:
        self._dtype = dtype
        self._parts: list[Floats] = []
        self._offsets: dict[int, int] = {}
        self._end = 0

    def add(self, array: Floats | None) -> int:
        """Its byte offset, the same one if it was added before; -1 for None."""
        if array is None:
            return -1
        offset = self._offsets.get(id(array))
        if offset is None:
            offset = self._offsets[id(array)] = self._end
            self._parts.append(array.reshape(-1))
            self._end += array.size * self._dtype.itemsize
        return offset

    def buffer(self) -> Bytes:
        """All of them, and at least one byte: a device has no empty arrays."""
        if self._end == 0:
            return np.zeros(1, np.uint8)
        return np.concatenate(self._parts, dtype=self._dtype, casting="same_kind").view(np.uint8)
