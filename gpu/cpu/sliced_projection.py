"""Points projected by blocks, prepared in passing: no centred copy of a large measure is kept."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from gpu.cpu.workspace import Workspace
from gpu.leaves import Floats
from gpu.sliced.measures import prepared

BLOCK_BYTES = 2**20
"""Points that a thread prepares and projects at a time."""

MIN_BLOCK = 64
"""Points, below which a matrix product waits for the directions."""


def point_blocks(n: int, d: int, dtype: np.dtype[Any]) -> Iterator[tuple[int, int]]:
    """First and last of the points of each block."""
    height = max(MIN_BLOCK, BLOCK_BYTES // (d * dtype.itemsize))
    for first in range(0, n, height):
        yield first, min(first + height, n)


def project(points: Floats, centre: Floats, scale: float, thetas: Floats, out: Floats, workspace: Workspace) -> None:
    """Sets `out` to thetas ((points - centre) / scale)^T, of the dtype of thetas."""
    block = prepared(points, centre, scale, workspace.take(points.shape, thetas.dtype))
    np.matmul(thetas, block.T, out=out)
