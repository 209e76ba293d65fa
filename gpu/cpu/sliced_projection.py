"""Points projected by blocks, prepared in passing: no centred copy of a large measure is kept.

Projections are sums in float64 whatever they are stored as: slices of measures that are near each other are small
differences, in which the rounding of d additions in float32 would show.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from gpu.cpu.workspace import Workspace
from gpu.leaves import Floats
from gpu.sliced.measures import prepared

DOUBLE = np.dtype(np.float64)

BLOCK_BYTES = 2**20
"""Points that a thread prepares and projects at a time."""

MIN_BLOCK = 64
"""Points, below which a matrix product waits for the directions."""

TILE_ROWS, TILE_NUMBERS = 512, 2**17
"""Directions, and projections, that are summed before they are rounded: 1 MiB, which stays in the cache."""


def point_blocks(n: int, d: int) -> Iterator[tuple[int, int]]:
    """First and last of the points of each block."""
    return _parts(n, max(MIN_BLOCK, BLOCK_BYTES // (d * DOUBLE.itemsize)))


def project(points: Floats, centre: Floats, scale: float, thetas: Floats, out: Floats, workspace: Workspace) -> None:
    """Sets `out` to thetas ((points - centre) / scale)^T."""
    multiply(thetas, prepared(points, centre, scale, workspace.take(points.shape, DOUBLE)), out, workspace)


def multiply(thetas: Floats, points: Floats, out: Floats, workspace: Workspace) -> None:
    """Sets `out`, of any dtype, to thetas points^T: float64, summed in it and rounded once."""
    if out.dtype == DOUBLE:
        np.matmul(thetas, points.T, out=out)
        return
    for top, bottom in _parts(len(thetas), TILE_ROWS):
        for left, right in _parts(len(points), max(1, TILE_NUMBERS // (bottom - top))):
            with workspace.piece():
                sums = workspace.take((bottom - top, right - left), DOUBLE)
                np.matmul(thetas[top:bottom], points[left:right].T, out=sums)
                out[top:bottom, left:right] = sums


def _parts(count: int, size: int) -> Iterator[tuple[int, int]]:
    for start in range(0, count, size):
        yield start, min(start + size, count)
