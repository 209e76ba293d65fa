"""Exact sums for private distances: records on the grids of their axes, then integer cosines of all grid points."""

from __future__ import annotations

import numpy as np

from gpu.cpu.jit import inner, outer
from gpu.leaves import Floats


@outer
def histogram(positions: Floats, shift: int, counts: Floats) -> None:
    """Add records to the two grid points beside them, 2^shift in all, in proportion to how near they are.

    Args:
        positions: (n, J) uint32, in steps of 2^-shift of a cell.
        shift: Bits of a cell.
        counts: (J, G + 2) int64; the last one stays 0.
    """
    mask = (1 << shift) - 1
    for i in range(len(positions)):
        for j in range(positions.shape[1]):
            position = np.int64(positions[i, j])
            cell, beyond = position >> shift, position & mask
            counts[j, cell] += (1 << shift) - beyond
            counts[j, cell + 1] += beyond


@outer
def cosines(counts: Floats, table: Floats, frequencies: Floats, amplitudes: Floats, bits: int, sums: Floats) -> None:
    """Add counts_g times trunc(A_k cos(pi k g / G)) and the same of sines, over all grid points, to sums.

    Args:
        counts: (G + 1,) int64.
        table: (2, 2 G) int64, cosines and sines times 2^bits, the sum of squares of each pair at most 4^bits.
        frequencies: (K,) int64.
        amplitudes: (K,) int64, at most 2^bits, bits <= 30.
        bits: Of the table.
        sums: (2, K) int64; counts' sum times an amplitude is below 2^62.
    """
    mask = table.shape[1] - 1
    for k in range(len(frequencies)):
        cosine, sine = np.int64(0), np.int64(0)
        for g in range(len(counts)):
            place = (frequencies[k] * g) & mask
            cosine += counts[g] * _toward_zero(amplitudes[k] * table[0, place], bits)
            sine += counts[g] * _toward_zero(amplitudes[k] * table[1, place], bits)
        sums[0, k] += cosine
        sums[1, k] += sine


@inner
def _toward_zero(value: np.int64, bits: int) -> np.int64:
    """Value / 2^bits without its fraction: the shift rounds down, so negative values get 2^bits - 1 first."""
    return (value + ((value >> 63) & ((1 << bits) - 1))) >> bits
