"""Costs of sorted projections: the innermost loops. Each row of u and v is one slice; sums are in float64.

W_p^p(a, b) = integral over 0 < t < 1 of |F_a^-1(t) - F_b^-1(t)|^p, with F^-1 the quantile functions: step functions of
the sorted atoms (Peyre and Cuturi, Computational Optimal Transport (2019), remark 2.30).

Weights are whole numbers whose sums are equal: the steps of the two quantile functions then meet exactly, and the
smaller of two weights is chosen by masks, where comparing floats would be a branch that is as often wrong as right.
"""

from __future__ import annotations

import numpy as np

from gpu.cpu.jit import inner, outer, summing
from gpu.leaves import Floats

WHOLE = 2**62
"""The sum of a measure's masses. An ulp of it is less than what weights of sum 1 are rounded by in float64."""


def masses(weights: Floats) -> Floats:
    """(n,) int64 >= 1 with the sum WHOLE, for weights of sum 1."""
    whole = np.maximum(np.rint(weights * WHOLE), 1).astype(np.int64)
    whole[whole.argmax()] += WHOLE - int(whole.sum())
    return whole


def equal_masses(n: int) -> Floats:
    """(n,) int64 with the sum WHOLE."""
    whole = np.full(n, WHOLE // n)
    whole[: WHOLE % n] += 1
    return whole


@inner
def power(difference: float, p: float) -> float:
    """|difference|^p."""
    if p == 2:
        return difference * difference
    distance = abs(difference)
    return distance if p == 1 else distance**p


@summing
def equal_row(u: Floats, v: Floats, p: float) -> float:
    """One slice of measures with as many atoms, of weight 1 / n each."""
    n, total = len(u), 0.0
    if p == 2:
        for i in range(n):
            total += power(np.float64(u[i]) - np.float64(v[i]), 2.0)
    elif p == 1:
        for i in range(n):
            total += power(np.float64(u[i]) - np.float64(v[i]), 1.0)
    else:
        for i in range(n):
            total += power(np.float64(u[i]) - np.float64(v[i]), p)
    return total / n


@outer
def equal(u: Floats, v: Floats, p: float, out: Floats) -> None:
    """Both measures have n atoms of weight 1 / n."""
    for row in range(len(out)):
        out[row] = equal_row(u[row], v[row], p)


@inner
def partners(n: int, m: int) -> tuple[Floats, Floats]:
    """Of n >= m equal atoms: which of the m each meets first, (n,) uint32, and with how much of its mass m, (n,).

    Atom i covers the levels from i m to (i + 1) m of n m, where the others change at multiples of n: it meets one of
    them, or one and the next.
    """
    near, share = np.empty(n, np.uint32), np.empty(n)
    j, beyond = 0, 0  # i m = j n + beyond
    for i in range(n):
        near[i], share[i] = j, min(m, n - beyond)
        beyond += m
        if beyond >= n:
            beyond -= n
            j += 1
    return near, share


@summing
def unequal_row(u: Floats, v: Floats, near: Floats, share: Floats, p: float) -> float:
    """One slice of n > m equal atoms."""
    n, m = len(u), len(v)
    total, last = 0.0, np.uint32(m - 1)
    if p == 2:
        for i in range(n):
            total += share[i] * power(np.float64(u[i]) - np.float64(v[near[i]]), 2.0)
            total += (m - share[i]) * power(np.float64(u[i]) - np.float64(v[min(near[i] + np.uint32(1), last)]), 2.0)
    else:
        for i in range(n):
            total += share[i] * power(np.float64(u[i]) - np.float64(v[near[i]]), p)
            total += (m - share[i]) * power(np.float64(u[i]) - np.float64(v[min(near[i] + np.uint32(1), last)]), p)
    return total / n / m


@outer
def unequal(u: Floats, v: Floats, p: float, out: Floats) -> None:
    """The measures have n > m atoms, each of weight 1 / n and 1 / m."""
    near, share = partners(u.shape[1], v.shape[1])
    for row in range(len(out)):
        out[row] = unequal_row(u[row], v[row], near, share, p)


@outer
def merged(u: Floats, a: Floats, v: Floats, b: Floats, p: float, out: Floats) -> None:
    """Atoms of masses a and b with the sum WHOLE, in the order of u and v.

    Args:
        u: (rows, n) sorted positions.
        a: (rows or 1, n + 1) int64 > 0; the last column is read, and does not count.
        v: (rows, m).
        b: (rows or 1, m + 1).
        p: The power.
        out: (rows,).
    """
    for row in range(len(out)):
        line_a, line_b = a[min(row, len(a) - 1)], b[min(row, len(b) - 1)]
        out[row] = merged_row(u[row], line_a, v[row], line_b, p)


@inner
def merged_row(u: Floats, a: Floats, v: Floats, b: Floats, p: float) -> float:
    """One slice."""
    if p == 2:
        return _merge(u, a, v, b, 2.0) / WHOLE
    if p == 1:
        return _merge(u, a, v, b, 1.0) / WHOLE
    return _merge(u, a, v, b, p) / WHOLE


@inner
def _merge(u: Floats, a: Floats, v: Floats, b: Floats, p: float) -> float:
    """Of the two current atoms the one with less left is used up, and the next of its measure follows."""
    one, i, j = np.uint64(1), np.uint64(0), np.uint64(0)
    left_a, left_b, total = a[0], b[0], 0.0
    for _ in range(len(u) + len(v) - 2):
        total += min(left_a, left_b) * power(np.float64(u[i]) - np.float64(v[j]), p)
        more = left_b - left_a
        less = more >> 63  # all bits where b has less left, else none
        next_a, next_b = a[i + one], b[j + one]
        i += np.uint64(1 + less)
        j += np.uint64(-less)
        left_a = (next_a & ~less) | (-more & less)
        left_b = (more & ~less) | (next_b & less)
    return total + left_a * power(np.float64(u[i]) - np.float64(v[j]), p)
