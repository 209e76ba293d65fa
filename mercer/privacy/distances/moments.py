"""Sums of squared distances from the moments of the records, without any approximation but rounding.

sum_i |x_i - y|^2 = sum_i |x_i|^2 - 2 y . sum_i x_i + n |y|^2, all taken from the middle of the box. Released are n, the
d sums of coordinates in halves of the box's sides, and the sum of squares over the largest square, as integers.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from mercer.privacy.distances.axes import Axes
from mercer.privacy.distances.calibration import MAX_TOTAL_BITS, Calibration
from mercer.privacy.distances.cosines import cube_root, total
from mercer.privacy.distances.estimates import Estimates
from mercer.privacy.distances.request import Request
from mercer.privacy.grid import GRID_BITS, Floats, clean
from mercer.privacy.sensitivity import RECORDS

NORM_BITS = 30
HALF_GRID_BITS = GRID_BITS - 1
AVERAGE_SQUARE, AVERAGE_COORDINATE = 5**-0.5, 2 * 3**-0.5
"""Root mean squares over y in [-1, 1] of y^2 and of 2 y."""


@dataclass(frozen=True)
class MomentDistances:
    """The released vector: A_0 n, A_j times the sums of coordinates, A_s times the sum of squares, (d + 2,)."""

    request: Request

    @property
    def axes(self) -> Axes:
        """The coordinates."""
        return Axes.of(self.request)

    @cached_property
    def half_squares(self) -> Floats:
        """(d,): squares of half the box's sides."""
        halves = np.array(self.request.sides) / 2
        return halves * halves

    @cached_property
    def amplitudes(self) -> Floats:
        """(d + 2,) int64: bounds of a record's integers, for the least variance on average over the box."""
        squares = float(total(self.half_squares))
        weights = np.concatenate([[AVERAGE_SQUARE * squares], AVERAGE_COORDINATE * self.half_squares, [squares]])
        relative = weights / weights.max()
        norms = np.sqrt(relative) if self.request.delta else cube_root(relative * relative)
        bits = min(NORM_BITS, MAX_TOTAL_BITS - 1 - self.request.max_records.bit_length())
        integers: Floats = np.maximum(np.floor(norms / norms.max() * 2.0**bits).astype(np.int64), 1)
        return integers

    @cached_property
    def calibration(self) -> Calibration:
        """Each integer is bounded by itself."""
        norms, moved = self.amplitudes.tolist(), RECORDS[self.request.neighbours]
        squared = moved**2 * sum(norm**2 for norm in norms)
        return Calibration(moved * sum(norms), squared, self.request.epsilon, self.request.delta)

    @property
    def size(self) -> int:
        """D + 2."""
        return len(self.amplitudes)

    @property
    def count_error(self) -> float:
        """Of the constant."""
        return self.calibration.deviation / int(self.amplitudes[0])

    @property
    def noise_error(self) -> float:
        """At a corner of the box."""
        return float(self._noise(np.sqrt(self.half_squares)[None])[0])

    @property
    def error_per_record(self) -> float:
        """Coordinates are rounded to 2^-20 of the sides, and integers toward zero."""
        squares = float(self.half_squares.sum())
        rounding = 4 * squares * (2.0**-GRID_BITS + 2.0 ** (-2 * GRID_BITS))
        most = np.concatenate([2 * self.half_squares, [squares]])
        return rounding + float((most / self.amplitudes[1:]).sum())

    @property
    def flops(self) -> int:
        """A few for each number."""
        return 40 * self.request.max_records * len(self.request.low)

    @property
    def table_bytes(self) -> int:
        """Some chunks of records."""
        return 2**16 * 40 * len(self.request.low)

    def digest(self) -> str:
        """Of the amplitudes."""
        return hashlib.sha256(self.amplitudes.astype("<i8").tobytes()).hexdigest()

    def estimates(self, vector: Floats, points: Floats) -> Estimates:
        """By the formula above."""
        bounds = self.axes.bounds
        low, high = np.array(bounds.low), np.array(bounds.high)
        y = clean(bounds, points) - (low / 2 + high / 2)
        n, *first, second = (vector.astype(np.float64) / self.amplitudes).tolist()
        linear = total(y * np.sqrt(self.half_squares) * np.array(first))
        sums = second * total(self.half_squares) - 2 * linear + n * total(y * y)
        most = max(n, 0.0) + 2 * self.count_error
        return Estimates(sums, n, self._noise(y), np.full(len(y), most * self.error_per_record))

    def _noise(self, y: Floats) -> Floats:
        """(n,): of points from the middle of the box."""
        square = total(y * y)[:, None]
        linear = 2 * y * np.sqrt(self.half_squares)
        constant = np.full((len(y), 1), total(self.half_squares))
        weights = np.concatenate([square, linear, constant], axis=1) / self.amplitudes
        return self.calibration.deviation * np.sqrt(total(weights * weights))

    def about(self) -> dict[str, Any]:
        """How many numbers it releases."""
        return {"moments": self.size}
