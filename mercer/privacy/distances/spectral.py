"""Sums of |t|^p along axes as cosines, with the noise that each frequency deserves: docs/privacy.md has the proofs.

On an axis of width R with G cells, at grid points, |x - y|^p = R^p (a_0 + sum_k a_k cos(pi k (x - y) / R)). Released
are the number of records and, for each frequency, sum_i cos(pi k x_i / R) and sum_i sin(pi k x_i / R), as integers of
amplitude A_k: noise of one scale is then noise of scale / A_k. The amplitudes that make the variance of the answers
least are proportional to (a_k^2 / s_k)^(1/3) for Laplace noise, s_k = 1 or, for a pair, sqrt(2), and to abs(a_k)^(1/2)
for Gaussian noise. A record between two grid points counts for both, by its distance from them, and so does y.
"""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from mercer.privacy.distances.axes import Axes, slicing_factor
from mercer.privacy.distances.calibration import MAX_TOTAL_BITS, Calibration
from mercer.privacy.distances.cosines import Cosines, circle, cosines_of_power, cube_root, power, total, transform
from mercer.privacy.distances.estimates import Estimates
from mercer.privacy.distances.request import Request
from mercer.privacy.grid import GRID_BITS, Floats
from mercer.privacy.sensitivity import RECORDS

TABLE_BITS = 30
"""Of the integer cosines; a product with an amplitude fits 60 bits."""
UNIT_BITS = 36
"""Of a record in the constant or in the strongest frequency, where sums and noise have room for them."""
NOISE_BITS = 45
"""Unit and noise together: the samplers end at 2^50."""


class Amplitudes(NamedTuple):
    """Integer norms of a record's features, in steps of 2^-shift of a unit."""

    constant: int
    pairs: Floats
    """(J, K) int64."""


@dataclass(frozen=True)
class SpectralDistances:
    """The released vector: 2^s A_0 n, then for each axis all cosines and all sines, (1 + 2 J K,)."""

    request: Request

    @cached_property
    def axes(self) -> Axes:
        """The coordinates, or the slices of l2."""
        return Axes.of(self.request)

    @cached_property
    def cosines(self) -> Cosines:
        """Of the power of differences, on [-1, 1]."""
        return cosines_of_power(self.request.p, self.request.cells)

    @property
    def shift(self) -> int:
        """s: a cell has 2^s steps of the grid, and a record weighs 2^s in all."""
        return GRID_BITS - self.request.cells.bit_length() + 1

    @cached_property
    def scales(self) -> Floats:
        """(J,): what |t|^p on [-1, 1] is multiplied by on each axis, v R^p."""
        powers = np.array([power(width, self.request.p) for width in self.axes.widths.tolist()])
        if self.axes.directions is None:
            return powers
        return powers * (slicing_factor(len(self.request.low)) / self.request.n_directions)

    @cached_property
    def coefficients(self) -> tuple[float, Floats]:
        """Of the constant, and (J, K) of all frequencies."""
        return float(total(self.scales)) * self.cosines.constant, self.scales[:, None] * self.cosines.coefficients

    @cached_property
    def amplitudes(self) -> Amplitudes:
        """In proportion to what makes the variance least."""
        constant, pairs = self.coefficients
        strengths = np.abs(np.concatenate([[constant], pairs.ravel()]))
        if self.request.delta:
            norms = np.sqrt(strengths / strengths.max())
        else:
            widths = np.where(np.arange(len(strengths)) == 0, 1.0, math.sqrt(2))
            norms = cube_root((strengths / strengths.max()) ** 2 / widths)
        bits = min(TABLE_BITS, self._unit_bits - self.shift)
        integers = np.maximum(np.floor(norms / norms.max() * 2.0**bits).astype(np.int64), 1)
        return Amplitudes(int(integers[0]), integers[1:].reshape(pairs.shape))

    @property
    def _unit_bits(self) -> int:
        request = self.request
        room = MAX_TOTAL_BITS - 1 - request.max_records.bit_length()
        blocks = (1 + len(self.scales)).bit_length()
        return min(UNIT_BITS, room, NOISE_BITS - blocks + min(0, math.frexp(request.epsilon)[1]))

    @cached_property
    def calibration(self) -> Calibration:
        """By the norms: a pair's L1 norm is at most sqrt(2) times its L2 norm."""
        moved, unit = RECORDS[self.request.neighbours], 1 << self.shift
        constant, pairs = (
            self.amplitudes.constant * unit,
            [one * unit for one in self.amplitudes.pairs.ravel().tolist()],
        )
        l1 = constant + math.isqrt(2 * sum(pairs) ** 2)
        squared = constant**2 + sum(one**2 for one in pairs)
        return Calibration(moved * l1, moved**2 * squared, self.request.epsilon, self.request.delta)

    @property
    def size(self) -> int:
        """1 + 2 J K."""
        return 1 + 2 * self.amplitudes.pairs.size

    @property
    def count_error(self) -> float:
        """Of the constant."""
        return self.calibration.deviation / (self.amplitudes.constant << self.shift)

    @cached_property
    def _weights(self) -> tuple[float, Floats]:
        """What the released integers are multiplied by: a coefficient over an amplitude, in units."""
        constant, pairs = self.coefficients
        unit = 2.0**self.shift
        return constant / (self.amplitudes.constant * unit), pairs / (self.amplitudes.pairs * unit)

    @cached_property
    def _variances(self) -> tuple[float, Floats]:
        """Of an answer at grid points, and (J,) how much less it is between them, over b (1 - b); for noise of 1."""
        constant, pairs = self._weights
        frequencies = self.cosines.frequencies
        cosine, _ = circle(2 * self.request.cells)
        squares = pairs * pairs
        fall = 2 * total(squares * (1 - cosine[frequencies]))
        return float(constant * constant + total(total(squares))), fall

    @property
    def noise_error(self) -> float:
        """At grid points."""
        return self.calibration.deviation * math.sqrt(self._variances[0])

    @property
    def error_per_record(self) -> float:
        """Grid and truncation, and for slices the standard deviation over the directions, of the largest distance."""
        return self._grid_error + self._sliced * math.hypot(*self.request.sides)

    @cached_property
    def _grid_error(self) -> float:
        """Of a record, by interpolation in x and in y, rounding to 2^-20 of the axis, and truncated features."""
        p, h = self.request.p, 1 / self.request.cells
        rough = h / 4 * (2 * p * (h / 2) ** (p - 1) + (p > 1) * p * h ** (p - 1))
        between = p * (p - 1) * h * h / 4 if p >= 2 else rough
        rounding = p * 2.0**-GRID_BITS
        constant, pairs = self._weights
        truncation = 2 * math.sqrt(2) * float(np.abs(pairs).sum()) * 2.0**self.shift
        return (between + rounding) * float(self.scales.sum()) + truncation

    @cached_property
    def _sliced(self) -> float:
        """Standard deviation of |z| by slices over |z|: the variance of c_d abs(u . z) is (c_d^2 / d - 1) |z|^2."""
        if self.axes.directions is None:
            return 0.0
        d = len(self.request.low)
        return math.sqrt((slicing_factor(d) ** 2 / d - 1) / self.request.n_directions)

    @property
    def flops(self) -> int:
        """Positions and weights of the records, then all features of all grid points."""
        axes, d = len(self.scales), len(self.request.low)
        seen = self.request.max_records * axes * (40 + (0 if self.axes.directions is None else 4 * d))
        return seen + 16 * self.amplitudes.pairs.size * (self.request.cells + 1)

    @property
    def table_bytes(self) -> int:
        """Histograms of all threads, features and directions."""
        return 8 * (200 * len(self.scales) * (self.request.cells + 2) + 8 * self.size)

    def digest(self) -> str:
        """Of directions, amplitudes and coefficients."""
        constant, pairs = self.coefficients
        numbers = np.concatenate([[constant, self.amplitudes.constant], pairs.ravel(), self.amplitudes.pairs.ravel()])
        return hashlib.sha256(self.axes.digest().encode() + numbers.astype("<f8").tobytes()).hexdigest()

    def estimates(self, vector: Floats, points: Floats) -> Estimates:
        """A table for each axis, and between its values a straight line."""
        positions = self.axes.positions(points)
        cell, between = positions >> self.shift, (positions & (2**self.shift - 1)) / 2.0**self.shift
        base, fall = self._variances
        sums = np.full(len(points), self._weights[0] * float(vector[0]))
        variance = np.full(len(points), base)
        released = vector[1:].reshape(len(self.scales), 2, -1)
        for axis, (cosines, sines) in enumerate(released):
            table = self._table(axis, cosines, sines)
            low, b = cell[:, axis], between[:, axis]
            sums += (1 - b) * table[low] + b * table[low + 1]
            variance -= b * (1 - b) * fall[axis]
        records = float(vector[0]) / (self.amplitudes.constant << self.shift)
        noise = self.calibration.deviation * np.sqrt(np.maximum(variance, 0.0))
        return Estimates(sums, records, noise, self._approximation(records, sums, noise))

    def _approximation(self, records: float, sums: Floats, noise: Floats) -> Floats:
        """A bound; the part of slices is a standard deviation, and of an answer that is twice its noise larger."""
        most = max(records, 0.0) + 2 * self.count_error
        grid = np.full(len(sums), self._grid_error * most)
        return grid + self._sliced * (np.maximum(sums, 0.0) + 2 * noise + grid)

    def _table(self, axis: int, cosines: Floats, sines: Floats) -> Floats:
        """(G + 2,): sum_k of w_k (C_k cos + S_k sin)(pi k g / G), with one value beyond the last."""
        cells, weights = self.request.cells, self._weights[1][axis]
        real, imaginary = np.zeros(2 * cells), np.zeros(2 * cells)
        real[self.cosines.frequencies] = weights * cosines
        imaginary[self.cosines.frequencies] = -weights * sines
        values, _ = transform(real, imaginary)
        return values[: cells + 2]

    def about(self) -> dict[str, Any]:
        """How many numbers it releases."""
        return {"frequencies": int(self.amplitudes.pairs.size)}
