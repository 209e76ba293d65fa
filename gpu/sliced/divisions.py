"""Two samples as one pool of points, and the ways to divide it again: what a permutation test is made of."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from gpu.leaves import Floats
from gpu.sliced.directions import stream
from gpu.sliced.measures import Measure, Pair, pair

STREAM = 2**32
"""Of random numbers: those below it are the directions'."""


class Pool(NamedTuple):
    """The points of both samples in lexicographic order, so that no answer depends on the order they came in.

    The smaller sample is called the first.
    """

    distinct: Floats
    """(K, d) of the dtype of projecting: the points that differ, centred and scaled."""
    places: Floats
    """(N,) which of them each point is, in ascending order; equal points are projected once, and so to one number."""
    labels: Floats
    """(N,) uint8, 1 for the first sample: the division that was observed."""
    scale: float

    @property
    def sizes(self) -> tuple[int, int]:
        """Of the first sample and of the second."""
        n = int(self.labels.sum())
        return n, len(self.labels) - n


def pool(x: Floats, y: Floats, p: float, dtype: np.dtype[Any]) -> Pool:
    """Of two samples, shapes (n, d) and (m, d) in float64.

    Raises:
        InvalidSpec: the p-th power of the points' distances is beyond float64.
    """
    first, second = (x, y) if len(x) <= len(y) else (y, x)
    points = np.concatenate([first, second])
    _, inverse = np.unique(_keys(points), return_inverse=True)
    order = np.argsort(inverse, kind="stable")
    made = _prepared(points[order], p, dtype)
    starts = np.flatnonzero(np.diff(inverse[order], prepend=-1))
    return Pool(made.u()[starts], inverse[order], (order < len(first)).astype(np.uint8), made.scale)


def _keys(points: Floats) -> Floats:
    """(N,) bytes that compare as the points do, by their first coordinates first."""
    bits = (points + 0.0).view(np.uint64)  # -0.0 + 0.0 = 0.0, which has other bits
    sign = np.uint64(1 << 63)
    ascending = np.where(bits & sign, ~bits, bits | sign).astype(">u8")
    return ascending.view(np.dtype((np.void, ascending.itemsize * ascending.shape[1])))[:, 0]


def _prepared(points: Floats, p: float, dtype: np.dtype[Any]) -> Pair:
    """Centred on the pool's mean: that of a sample changes with the division."""
    measure = Measure(points)
    return pair(measure, measure, p, dtype)


def drawn(pool: Pool, seed: int, block: int, count: int) -> Floats:
    """So many divisions at random, (count, N) uint8; every block of a seed has its own stream."""
    n, m = pool.sizes
    division = np.repeat(np.array([1, 0], np.uint8), [n, m])
    return stream(seed, STREAM + block).permuted(np.broadcast_to(division, (count, n + m)), axis=1)
