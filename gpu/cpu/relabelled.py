"""The cost of two samples on many lines for many divisions of their points, each in one pass over sorted points."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from gpu.cpu.jit import inner, outer
from gpu.leaves import Floats


class Coupling(NamedTuple):
    """How quantile functions of n and m equal atoms meet: atoms first[k] and second[k] share the mass mass[k]."""

    first: Floats
    """(K,) int32, K = n + m - gcd(n, m)."""
    second: Floats
    mass: Floats
    """(K,) float64, of sum 1."""


def coupling(n: int, m: int) -> Coupling:
    """From whole numbers: the levels of both functions are multiples of 1 / (n m)."""
    levels = np.union1d(np.arange(n, dtype=np.int64) * m, np.arange(m, dtype=np.int64) * n)
    mass = np.diff(np.append(levels, n * m)) / (n * m)
    return Coupling((levels // m).astype(np.int32), (levels // n).astype(np.int32), mass)


@outer
def add_costs(
    z: Floats, order: Floats, is_first: Floats, first: Floats, second: Floats, mass: Floats, p: float, out: Floats
) -> None:
    """Add sum_k mass[k] |u_(first[k]) - v_(second[k])|^p of every line to out, shape (B,).

    Args:
        z: (S, N) projected points, each line's in ascending order.
        order: (S, N) int32: which point each of them is.
        is_first: (B, N) uint8: for every division, 1 for the points that are u's and 0 for v's.
        first: See Coupling.
        second: See Coupling.
        mass: See Coupling.
        p: The power.
        out: (B,) float64.
    """
    n_points = z.shape[1]
    u, v = np.empty(n_points + 1, z.dtype), np.empty(n_points + 1, z.dtype)
    for division in range(len(out)):
        for line in range(len(z)):
            _divide(z[line], order[line], is_first[division], u, v)
            out[division] += _cost(u, v, first, second, mass, p)


@inner
def _divide(z: Floats, order: Floats, is_first: Floats, u: Floats, v: Floats) -> None:
    """Sorted points into sorted u and v; without a branch, which would be mispredicted every other time."""
    i, j = 0, 0
    for k in range(len(z)):
        chosen = int(is_first[order[k]])
        u[i] = z[k]
        v[j] = z[k]
        i += chosen
        j += 1 - chosen


@inner
def _cost(u: Floats, v: Floats, first: Floats, second: Floats, mass: Floats, p: float) -> float:
    total = 0.0
    if p == 2:
        for k in range(len(mass)):
            difference = np.float64(u[first[k]]) - np.float64(v[second[k]])
            total += mass[k] * (difference * difference)
    elif p == 1:
        for k in range(len(mass)):
            total += mass[k] * abs(np.float64(u[first[k]]) - np.float64(v[second[k]]))
    else:
        for k in range(len(mass)):
            total += mass[k] * abs(np.float64(u[first[k]]) - np.float64(v[second[k]])) ** p
    return total
