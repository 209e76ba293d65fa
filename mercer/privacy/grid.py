"""Records are put into a public box, and onto its grid, before anything is computed of them."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np

Floats = np.ndarray[Any, Any]

GRID_BITS = 20
"""A side of the box has 2^20 steps; positions between them are rounded."""


class Bounds(Protocol):
    """A box: low_j <= x_j <= high_j in each of d dimensions, all finite; given beforehand, never taken from data."""

    @property
    def low(self) -> tuple[float, ...]:
        """(d,)."""

    @property
    def high(self) -> tuple[float, ...]:
        """(d,)."""


def clean(bounds: Bounds, points: Floats) -> Floats:
    """(n, d) float64 in the box: a record with a coordinate that is not finite becomes the box's low corner.

    The coordinates of all others are clipped. What a record becomes depends on that record alone.
    """
    low = np.array(bounds.low)
    finite = np.logical_and.reduce(np.isfinite(points), axis=1)
    return np.clip(np.where(finite[:, None], points, low), low, np.array(bounds.high))


def grid(bounds: Bounds, points: Floats) -> Floats:
    """(n, d) uint32 in [0, 2^20]: clean points in steps of the grid, by operations that IEEE 754 defines.

    Halves, because the difference of two finite numbers need not be finite.
    """
    low, widths = np.array(bounds.low) / 2, half_widths(bounds)
    return np.rint((points / 2 - low) / np.where(widths > 0, widths, 1.0) * 2**GRID_BITS).astype(np.uint32)


def points_at(bounds: Bounds, positions: Floats) -> Floats:
    """(n, d) float64 in the box: positions on the grid as points."""
    steps = half_widths(bounds) * 2.0 ** (1 - GRID_BITS)
    return clean(bounds, np.array(bounds.low) + positions * steps)


def half_widths(bounds: Bounds) -> Floats:
    """(d,): half of each side's length."""
    return np.array(bounds.high) / 2 - np.array(bounds.low) / 2
