"""The lines on which a point is seen: its coordinates, or its projections on public directions."""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass, field
from functools import cached_property
from typing import NamedTuple

import numpy as np

from mercer.privacy.distances.request import Request
from mercer.privacy.grid import Floats, clean, grid


class Interval(NamedTuple):
    """Bounds, as mercer.privacy.grid.Bounds."""

    low: tuple[float, ...]
    high: tuple[float, ...]


@dataclass(frozen=True)
class Axes:
    """J lines, each with the interval that the box has on it."""

    bounds: Interval
    """The box."""
    directions: Floats | None = field(repr=False)
    """(d, J), unit vectors; None for the coordinates themselves."""

    @classmethod
    def of(cls, request: Request) -> Axes:
        """The coordinates, or for l2 directions that are drawn uniformly by a public seed."""
        bounds = Interval(request.low, request.high)
        d = len(request.low)
        if request.distance != "l2" or d == 1:
            return cls(bounds, None)
        normal = np.random.Generator(np.random.Philox(key=request.direction_seed)).standard_normal(
            (request.n_directions, d)
        )
        squares = np.zeros(len(normal))
        for column in normal.T:
            squares = squares + column * column
        return cls(bounds, normal.T / np.sqrt(squares))

    @cached_property
    def intervals(self) -> Interval:
        """(J,) each: where the box lies on the axes."""
        if self.directions is None:
            return self.bounds
        low, high = np.array(self.bounds.low), np.array(self.bounds.high)
        centre, half = projected((low / 2 + high / 2)[None], self.directions)[0], np.zeros(self.directions.shape[1])
        for side, row in zip(high / 2 - low / 2, self.directions, strict=True):
            half = half + side * np.abs(row)
        return Interval(tuple((centre - half).tolist()), tuple((centre + half).tolist()))

    @cached_property
    def widths(self) -> Floats:
        """(J,): lengths of the intervals."""
        return np.subtract(self.intervals.high, self.intervals.low)

    def positions(self, points: Floats) -> Floats:
        """(n, J) uint32 in [0, 2^20] of any points, which are put into the box first."""
        cleaned = clean(self.bounds, points)
        if self.directions is None:
            return grid(self.bounds, cleaned)
        return grid(self.intervals, clean(self.intervals, projected(cleaned, self.directions)))

    def digest(self) -> str:
        """SHA-256 of the directions, in hex; of nothing for coordinates."""
        numbers = b"" if self.directions is None else np.ascontiguousarray(self.directions, "<f8").tobytes()
        return hashlib.sha256(numbers).hexdigest()


def projected(points: Floats, directions: Floats) -> Floats:
    """(n, J): points @ directions, added up in one order everywhere."""
    out = np.zeros((len(points), directions.shape[1]))
    for column, row in zip(points.T, directions, strict=True):
        out += column[:, None] * row
    return out


def slicing_factor(d: int) -> float:
    """c_d with |z| = c_d E |u . z| for u uniform on the sphere: sqrt(pi) Gamma((d + 1) / 2) / Gamma(d / 2)."""
    return math.sqrt(math.pi) * math.exp(math.lgamma((d + 1) / 2) - math.lgamma(d / 2))
