"""Points moved to their centre and scaled, without a copy beside the result."""

from __future__ import annotations

import numpy as np

from gpu.cpu.jit import outer
from gpu.leaves import Floats

BLOCK = 128
"""Rows that are summed before they are added to the rest: rounding errors then grow with n / 128."""


@outer
def centre(points: Floats, weights: Floats, out: Floats) -> float:
    """Sets out[0] + out[1] to the weighted mean; returns a bound of the |coordinates| from it.

    The bound is at most twice the largest. out[0] is the mean of the first points: from there, points far from the
    origin keep their digits.

    Args:
        points: (n, d).
        weights: (n,) of sum 1, or (1,) where all are equal.
        out: (2, d) zeros.
    """
    n, d = points.shape
    head = min(n, BLOCK)
    for i in range(head):
        for c in range(d):
            out[0, c] += points[i, c] / head
    partial, highest = np.zeros(d), np.zeros(d)
    for i in range(n):
        weight = weights[min(i, len(weights) - 1)]
        for c in range(d):
            moved = points[i, c] - out[0, c]
            partial[c] += weight * moved
            highest[c] = max(highest[c], abs(moved))
        if (i + 1) % BLOCK == 0 or i + 1 == n:
            for c in range(d):
                out[1, c] += partial[c]
                partial[c] = 0.0
    bound = 0.0
    for c in range(d):
        bound = max(bound, highest[c] + abs(out[1, c]))
    return bound


@outer
def prepare(points: Floats, centre: Floats, inverse_scale: float, out: Floats) -> None:
    """Sets out to (points - centre) / scale, rounded once at the end."""
    for i in range(len(points)):
        for c in range(points.shape[1]):
            out[i, c] = (points[i, c] - centre[0, c] - centre[1, c]) * inverse_scale
