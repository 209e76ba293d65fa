"""Sums of distances from a binary tree of noisy counts: published algorithms, kept to compare with.

Each axis is cut into G cells, the leaves of a tree of public depth; each node has the number of records in it and, for
TreeDistances, the sum of their positions. Backurs, Lin, Mahabadi, Silwal and Tarnawski, Efficiently computing
similarities to private datasets (2024), algorithms 1 to 4: rings; Liu, Hu, Reneau, Song and Liu, Differentially private
kernel density estimation (2024): counts and sums.
"""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from mercer.privacy.distances.axes import Axes
from mercer.privacy.distances.calibration import Calibration
from mercer.privacy.distances.cosines import power, total
from mercer.privacy.distances.estimates import Estimates
from mercer.privacy.distances.haar import consistent_leaves, sign_variance
from mercer.privacy.distances.request import Request
from mercer.privacy.grid import GRID_BITS, Floats
from mercer.privacy.sensitivity import RECORDS

UNIT = 2.0**GRID_BITS
"""A record counts 2^20 in each node, and its position is at most as much."""


def interval(nodes: Floats, low: Floats, high: Floats) -> tuple[Floats, Floats]:
    """The sums of the leaves low, ..., high - 1 from the fewest nodes, and how many nodes; 0 where high <= low.

    Args:
        nodes: (2 G,), the root at 1.
        low: Integers, of any shape.
        high: Of the same shape, at most G.
    """
    size = len(nodes) // 2
    low, high = low + size, np.maximum(high, low) + size
    sums, count = np.zeros(low.shape), np.zeros(low.shape, np.int64)
    while size:
        left = (low < high) & (low % 2 == 1)
        sums += np.where(left, nodes[np.where(left, low, 1)], 0.0)
        low = low + left
        right = (low < high) & (high % 2 == 1)
        high = high - right
        sums += np.where(right, nodes[np.where(right, high, 1)], 0.0)
        count += left.astype(np.int64) + right
        low, high, size = low // 2, high // 2, size // 2
    return sums, count


@dataclass(frozen=True)
class TreeDistances:
    """Counts and sums: y C_left - S_left + S_right - y C_right; the released vector has (J, 2, 2 G - 1) numbers."""

    request: Request
    columns = 2
    """Trees of an axis."""

    @property
    def axes(self) -> Axes:
        """The coordinates."""
        return Axes.of(self.request)

    @property
    def shift(self) -> int:
        """A cell has so many bits of the grid."""
        return GRID_BITS - self.request.cells.bit_length() + 1

    @cached_property
    def calibration(self) -> Calibration:
        """A record is in one node of each level of each tree."""
        moved, nodes = RECORDS[self.request.neighbours], self.columns * len(self.request.low) * self.levels
        return Calibration(
            moved * nodes << GRID_BITS, moved**2 * nodes << 2 * GRID_BITS, self.request.epsilon, self.request.delta
        )

    @property
    def levels(self) -> int:
        """Of a tree, with its root and its leaves."""
        return self.request.cells.bit_length()

    @property
    def size(self) -> int:
        """All nodes of all trees."""
        return len(self.request.low) * self.columns * (2 * self.request.cells - 1)

    @property
    def count_error(self) -> float:
        """Of the mean of all roots."""
        return self.calibration.deviation / UNIT / math.sqrt(len(self.request.low))

    @cached_property
    def _spread(self) -> Floats:
        """(G + 1,): the variance of a tree's left sum less its right sum, cut at each leaf, without the noise."""
        cells = self.request.cells
        if self.request.consistent:
            return sign_variance(cells)
        cut, none = np.arange(cells + 1), np.zeros(2 * cells)
        return (interval(none, 0 * cut, cut)[1] + interval(none, cut, cells + 0 * cut)[1]).astype(np.float64)

    @property
    def noise_error(self) -> float:
        """At the upper border, if the most nodes were needed there."""
        widths = math.hypot(*self.request.sides)
        return self.calibration.deviation / UNIT * widths * math.sqrt(2 * float(self._spread.max()))

    @property
    def error_per_record(self) -> float:
        """A record between y and the next leaf may be taken for one on its other side; and positions are rounded."""
        return math.fsum(self.request.sides) * (1 / self.request.cells + 2.0**-GRID_BITS)

    @property
    def flops(self) -> int:
        """A few for each coordinate and each node."""
        return 40 * self.request.max_records * len(self.request.low) + 20 * self.size

    @property
    def table_bytes(self) -> int:
        """Histograms of all threads."""
        return 8 * 200 * self.size

    def digest(self) -> str:
        """Nothing is computed again but from the request."""
        return hashlib.sha256(b"").hexdigest()

    def estimates(self, vector: Floats, points: Floats) -> Estimates:
        """By the formula above, cut at the leaf next to y."""
        trees, cells = self._trees(vector), self.request.cells
        positions = self.axes.positions(points)
        sums, variance = np.zeros(len(points)), np.zeros(len(points))
        for (counts, places), position, width in zip(trees, positions.T, self.request.sides, strict=True):
            cut, y = (position + (1 << self.shift - 1)) >> self.shift, position / UNIT
            sums += width / UNIT * (y * self._signed(counts, cells)[cut] - self._signed(places, cells)[cut])
            variance += width * width * (y * y + 1) * self._spread[cut]
        records, noise = self._records(trees), self.calibration.deviation / UNIT * np.sqrt(variance)
        most = max(records, 0.0) + 2 * self.count_error
        return Estimates(sums, records, noise, np.full(len(sums), most * self.error_per_record))

    def _trees(self, vector: Floats) -> Floats:
        """(J, columns, 2 G), with nothing before the root."""
        shape = (len(self.request.low), self.columns, 2 * self.request.cells - 1)
        return np.pad(vector.astype(np.float64).reshape(shape), ((0, 0), (0, 0), (1, 0)))

    def _records(self, trees: Floats) -> float:
        return float(total(trees[:, 0, 1])) / len(trees) / UNIT

    def _signed(self, nodes: Floats, cells: int) -> Floats:
        """(G + 1,): what is left of each cut, less what is right of it."""
        cut = np.arange(cells + 1)
        if self.request.consistent:
            before = np.concatenate([[0.0], np.cumsum(consistent_leaves(nodes))])
            return 2 * before - before[-1]
        return interval(nodes, 0 * cut, cut)[0] - interval(nodes, cut, cells + 0 * cut)[0]

    def about(self) -> dict[str, Any]:
        """How deep the trees are."""
        return {"levels": self.levels}


@dataclass(frozen=True)
class RingDistances(TreeDistances):
    """Counts alone: records whose distance is in [R / (1 + alpha)^(j + 1), R / (1 + alpha)^j) count as the latter."""

    columns = 1

    @cached_property
    def edges(self) -> tuple[Floats, Floats]:
        """(rings + 1,) int64, in leaves from y, the farthest first; and (rings,), distances to the p in widths."""
        cells, outer = self.request.cells, [float(self.request.cells)]
        while outer[-1] > 1:
            outer.append(outer[-1] / (1 + self.request.alpha))
        edges = np.ceil(np.array([*outer[:-1], 0.0])).astype(np.int64)
        return edges, np.array([power(one / cells, self.request.p) for one in outer[:-1]])

    @property
    def noise_error(self) -> float:
        """If every ring needed the most nodes on both sides."""
        _, values = self.edges
        nodes = 4 * (self.levels - 1) * float((values * values).sum())
        scales = math.hypot(*(power(side, self.request.p) for side in self.request.sides))
        return self.calibration.deviation / UNIT * scales * math.sqrt(nodes)

    @property
    def error_per_record(self) -> float:
        """A record may be 3/2 leaves nearer or farther, and the rings add their part of the largest distance."""
        p = self.request.p
        scale = math.fsum(power(side, p) for side in self.request.sides)
        return scale * (p * (1.5 / self.request.cells + 2.0**-GRID_BITS) + self._inflation)

    @property
    def _inflation(self) -> float:
        return 1 - power(1 + self.request.alpha, self.request.p) ** -1

    def estimates(self, vector: Floats, points: Floats) -> Estimates:
        """All rings on both sides of y."""
        trees, (edges, values) = self._trees(vector), self.edges
        sums, variance = np.zeros(len(points)), np.zeros(len(points))
        for (counts,), position, width in zip(trees, self.axes.positions(points).T, self.request.sides, strict=True):
            found, spread = self._rings(counts, (position + (1 << self.shift - 1)) >> self.shift, edges, values)
            scale = power(width, self.request.p)
            sums += scale * found
            variance += scale * scale * spread
        records, noise = self._records(trees), self.calibration.deviation / UNIT * np.sqrt(variance)
        most, p = max(records, 0.0) + 2 * self.count_error, self.request.p
        scale = math.fsum(power(side, p) for side in self.request.sides)
        rounding = most * scale * p * (1.5 / self.request.cells + 2.0**-GRID_BITS)
        return Estimates(sums, records, noise, rounding + self._inflation * (np.maximum(sums, 0.0) + 2 * noise))

    def _rings(self, counts: Floats, cut: Floats, edges: Floats, values: Floats) -> tuple[Floats, Floats]:
        """Sums and variances, (n,) each, by the places between leaves."""
        cells = self.request.cells
        at, place = np.unique(cut.astype(np.int64), return_inverse=True)
        far, near = edges[:-1], edges[1:]
        right, above = interval(counts, np.minimum(at[:, None] + near, cells), np.minimum(at[:, None] + far, cells))
        left, below = interval(counts, np.maximum(at[:, None] - far, 0), np.maximum(at[:, None] - near, 0))
        found = total((right + left) * values) / UNIT
        spread = total((above + below) * (values * values))
        return found[place], spread[place]

    def about(self) -> dict[str, Any]:
        """How deep the trees are, and how many rings there are."""
        return {"levels": self.levels, "rings": len(self.edges[1])}
