"""One request on the CPU: how it is cut, and how a part of it is projected and compared."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

from gpu.cpu import sliced_costs
from gpu.cpu.sliced_order import KEY, in_order
from gpu.cpu.sliced_projection import DOUBLE, multiply, point_blocks, project
from gpu.cpu.workspace import Workspace
from gpu.leaves import Floats
from gpu.sliced.measures import Measure, Pair, prepared

CHUNK_BYTES = 2 * 2**20
"""Projections of a small request that one thread makes and sorts before the next: they stay in its L2 cache."""

SHARED_BYTES = 32 * 2**20
"""Projections of a large request that all threads make together."""

SMALL_BYTES = 4 * 2**20
"""Prepared points that are kept; those of a large request are prepared again for each chunk."""

MIN_ROWS = 12
"""Directions in a chunk, below which a matrix product waits for the points."""

KEYS_BYTES = 2**20
"""Keys that a thread sorts at a time."""


class Block(NamedTuple):
    """Points [first, last) of x (side 0) or y (side 1)."""

    side: int
    first: int
    last: int


class Problem:
    """Costs of one pair of measures for some directions."""

    def __init__(self, pair: Pair, directions: Floats) -> None:
        self._pair = pair
        self._directions = directions
        self.dtype: np.dtype[Any] = pair.dtype
        self.sizes = (pair.x.n, pair.y.n)
        self.atoms = sum(self.sizes)
        self.out = np.empty(len(directions))
        rows = CHUNK_BYTES // (self.atoms * self.dtype.itemsize)
        prepared_bytes = self.atoms * pair.x.d * DOUBLE.itemsize
        self.is_small = prepared_bytes <= SMALL_BYTES and rows >= MIN_ROWS
        self.chunk_rows = rows if self.is_small else max(1, SHARED_BYTES // (self.atoms * self.dtype.itemsize))

    def answer(self) -> Floats:
        """In the units given."""
        self.out *= self._pair.scale**self._pair.p
        if self._pair.p == 2:
            self.out += (self._directions @ self._pair.delta) ** 2
        return self.out

    def thetas(self, start: int, stop: int) -> Floats:
        """Some of the directions."""
        return self._directions[start:stop]

    def project(self, thetas: Floats, u: Floats, v: Floats, workspace: Workspace) -> None:
        """All points on some directions, a row for each."""
        multiply(thetas, self._prepared[0], u, workspace)
        multiply(thetas, self._prepared[1], v, workspace)

    def blocks(self) -> Iterator[Block]:
        """All points, for `project_block`."""
        for side, n in enumerate(self.sizes):
            for first, last in point_blocks(n, self._pair.x.d):
                yield Block(side, first, last)

    def project_block(self, thetas: Floats, block: Block, out: Floats, workspace: Workspace) -> None:
        """A block's points into its columns of `out`."""
        side, first, last = block
        measure, centre = self._sides[side]
        with workspace.piece():
            project(measure.points[first:last], centre, self._pair.scale, thetas, out[:, first:last], workspace)

    def compare(self, start: int, u: Floats, v: Floats, workspace: Workspace) -> None:
        """The costs of projections on the directions from `start` on; u and v are sorted where they lie."""
        out = self.out[start : start + len(u)]
        if self._pair.x.weights is None and self._pair.y.weights is None:
            u.sort(axis=1)
            v.sort(axis=1)
            self._compare_equal_atoms(u, v, out)
            return
        height = max(1, KEYS_BYTES // (self.atoms * KEY.itemsize))
        for first in range(0, len(u), height):
            rows = slice(first, first + height)
            with workspace.piece():
                u_sorted, a = in_order(u[rows], self._masses[0], workspace)
                v_sorted, b = in_order(v[rows], self._masses[1], workspace)
                sliced_costs.merged(u_sorted, a, v_sorted, b, self._pair.p, out[rows])

    def _compare_equal_atoms(self, u: Floats, v: Floats, out: Floats) -> None:
        n, m = self.sizes
        if n == m:
            sliced_costs.equal(u, v, self._pair.p, out)
        else:
            sliced_costs.unequal(*((u, v) if n > m else (v, u)), self._pair.p, out)

    @property
    def _sides(self) -> tuple[tuple[Measure, Floats], tuple[Measure, Floats]]:
        return (self._pair.x, self._pair.x_centre), (self._pair.y, self._pair.y_centre)

    @cached_property
    def _prepared(self) -> tuple[Floats, Floats]:
        x, y = (prepared(m.points, c, self._pair.scale, np.empty(m.points.shape)) for m, c in self._sides)
        return x, y

    @cached_property
    def _masses(self) -> tuple[Floats | None, Floats | None]:
        x, y = (None if measure.weights is None else sliced_costs.masses(measure.weights) for measure, _ in self._sides)
        return x, y
