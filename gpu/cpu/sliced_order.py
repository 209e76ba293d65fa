"""Sorting with weights: positions and indices packed into one whole number each, which NumPy sorts by vectors.

The upper bits of a key say in which of many equal intervals the position lies, the lower ones are the index. What an
interval leaves open is put right after sorting; where that is too much, more bits are taken.
"""

from __future__ import annotations

import numpy as np

from gpu.cpu.jit import inner, outer
from gpu.cpu.sliced_costs import equal_masses
from gpu.cpu.workspace import Workspace
from gpu.leaves import Floats

MAX_MOVES = 8
"""For each atom, to put right what intervals left open: more is slower than other ways of sorting."""

MAX_SINGLE = 2**18
"""Atoms beyond which 32 bits leave too few intervals."""


MASS, KEY = np.dtype(np.int64), np.dtype(np.uint64)


def in_order(positions: Floats, masses: Floats | None, workspace: Workspace) -> tuple[Floats, Floats]:
    """The positions of each row sorted, and their masses with a column beyond: a row for each, or one for all.

    Args:
        positions: (rows, n), each row contiguous; they may be sorted where they lie.
        masses: (n,) int64; None where all are equal.
        workspace: What is returned may lie in it.
    """
    rows, n = positions.shape
    if masses is None:
        positions.sort(axis=1)
        return positions, np.append(equal_masses(n), 0)[None]
    keys, carried = workspace.take((rows, n), KEY), workspace.take((rows, n + 1), MASS)
    ordered = workspace.take((rows, n), positions.dtype)
    by_position(positions, masses, keys, ordered, carried)
    return ordered, carried


def by_position(positions: Floats, masses: Floats, keys: Floats, ordered: Floats, carried: Floats) -> None:
    """Sets each row of `ordered` to the sorted positions, and that of `carried` to their masses.

    Args:
        positions: (rows, n), each row contiguous.
        masses: (n,) int64.
        keys: (rows, n) uint64, for our use.
        ordered: (rows, n) of the dtype of positions.
        carried: (rows, >= n) int64.
    """
    done = 0
    for width in (np.uint32, np.uint64) if len(masses) <= MAX_SINGLE else (np.uint64,):
        packed = keys.reshape(-1).view(width)[: positions.size].reshape(positions.shape)[done:]
        _pack(positions[done:], packed)
        packed.sort(axis=1)
        done += _unpack(positions[done:], masses, packed, ordered[done:], carried[done:])
    for row in range(done, len(positions)):
        order = positions[row].argsort()
        ordered[row], carried[row, : len(masses)] = positions[row, order], masses[order]


@inner
def _index_bits(n: int) -> int:
    bits = 1
    while (1 << bits) < n:
        bits += 1
    return bits


@outer
def _pack(positions: Floats, keys: Floats) -> None:
    n = positions.shape[1]
    bits = _index_bits(n)
    intervals = float((1 << (8 * keys.itemsize - bits)) - 1)
    for row in range(len(positions)):
        line, least = positions[row], positions[row].min()
        width = np.float64(line.max()) - np.float64(least)
        scale = intervals / width if width > 0 else 0.0
        for i in range(n):
            interval = np.uint64((np.float64(line[i]) - np.float64(least)) * scale)
            keys[row, i] = (interval << np.uint64(bits)) | np.uint64(i)


@outer
def _unpack(positions: Floats, masses: Floats, keys: Floats, ordered: Floats, carried: Floats) -> int:
    """How many rows are done; of the next too much is left open."""
    low = (np.uint64(1) << np.uint64(_index_bits(len(masses)))) - np.uint64(1)
    for row in range(len(keys)):
        for k in range(len(masses)):
            i = np.uint64(keys[row, k]) & low
            ordered[row, k] = positions[row, i]
            carried[row, k] = masses[i]
        if not _settle(ordered[row], carried[row]):
            return row
    return len(keys)


@inner
def _settle(ordered: Floats, carried: Floats) -> bool:
    """Insertion sort of what is nearly sorted; False once it takes too long."""
    moves = 0
    for k in range(1, len(ordered)):
        position = ordered[k]
        if ordered[k - 1] <= position:
            continue
        mass, to = carried[k], k
        while to > 0 and ordered[to - 1] > position:
            ordered[to], carried[to] = ordered[to - 1], carried[to - 1]
            to -= 1
        ordered[to], carried[to] = position, mass
        moves += k - to
        if moves > MAX_MOVES * len(ordered):
            return False
    return True
