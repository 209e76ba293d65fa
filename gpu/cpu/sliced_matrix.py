"""Sliced Wasserstein costs of all pairs of measures: each is projected and sorted once for a chunk of directions.

Costs are sums of powers of differences. The product form g_i + g_j - 2 G_ij of p = 2 would lose the digits of measures
that are near each other, and with them that a Gram matrix is positive semi-definite.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import numpy as np

from gpu.cpu.jit import outer
from gpu.cpu.sliced import WORKSPACE_BYTES, each
from gpu.cpu.sliced_costs import equal_row, masses, merged_row, partners, unequal_row
from gpu.cpu.sliced_order import MASS, in_order
from gpu.cpu.sliced_projection import point_blocks, project
from gpu.cpu.workspace import Workspaces
from gpu.device import Device
from gpu.leaves import Floats
from gpu.sliced.directions import Directions
from gpu.sliced.family import Family

CHUNK_BYTES = 16 * 2**20
"""Sorted projections of all measures, or those on a single direction where that is more."""

TILE = 4
"""Measures that one thread compares with all others, before it takes the next ones."""


def costs(family: Family, directions: Directions, device: Device, report: Callable[[float], None]) -> Floats:
    """(N, N) float64, sum_l w_l W_p^p(theta_l#x_i, theta_l#x_j) in the units given; symmetric with a diagonal of 0.

    Raises:
        Cancelled: by `report`, between chunks.
    """
    sorter = _Sorter(family, device)
    out, count = np.zeros((len(family.measures),) * 2), len(directions.rows)
    tiles = range(0, len(out), TILE)
    # The threads are ours already: BLAS's own would only get into their way.
    with device.blas.limit(limits=1, user_api="blas"):
        for start in range(0, count, sorter.chunk_rows):
            rows = slice(start, min(start + sorter.chunk_rows, count))
            positions, carried = sorter.sort(directions.rows[rows])
            means = directions.rows[rows] @ family.means.T
            add = partial(
                _add, positions, sorter.starts, carried, sorter.alike, means, directions.weights[rows], family.p, out
            )
            for _ in each(add, tiles, device):
                pass
            report(rows.stop / count)
    out += out.T
    return out * family.scale**family.p


class _Sorter:
    """Projects and sorts all measures."""

    def __init__(self, family: Family, device: Device) -> None:
        self._family = family
        self._device = device
        sizes = [measure.n for measure in family.measures]
        self.starts = np.append(0, np.cumsum(sizes))
        self.alike = np.array([measure.weights is None for measure in family.measures])
        self._masses = [None if m.weights is None else masses(m.weights) for m in family.measures]
        self._workspaces = Workspaces(device, WORKSPACE_BYTES)
        atoms = int(self.starts[-1])
        row_bytes = atoms * family.dtype.itemsize + (not self.alike.all()) * (atoms + len(sizes)) * MASS.itemsize
        self.chunk_rows = max(1, CHUNK_BYTES // row_bytes)

    def sort(self, rows: Floats) -> tuple[Floats, Floats]:
        """Positions (L, n_1 + ... + n_N) and their masses, those of each measure with a column beyond.

        Where no measure has weights there are no rows of masses.
        """
        positions = np.empty((len(rows), int(self.starts[-1])), self._family.dtype)
        carried = np.empty((0 if self.alike.all() else len(rows), positions.shape[1] + len(self.alike)), MASS)
        for _ in each(partial(self._sort_one, rows, positions, carried), range(len(self.alike)), self._device):
            pass
        return positions, carried

    def _sort_one(self, thetas: Floats, positions: Floats, carried: Floats, index: int) -> None:
        measure = self._family.measures[index]
        first, last = int(self.starts[index]), int(self.starts[index + 1])
        with self._workspaces.one() as workspace:
            projected = workspace.take((len(thetas), measure.n), positions.dtype)
            for start, stop in point_blocks(measure.n, measure.d):
                with workspace.piece():
                    columns = projected[:, start:stop]
                    points = measure.points[start:stop]
                    project(points, self._family.centres[index], self._family.scale, thetas, columns, workspace)
            positions[:, first:last], own = in_order(projected, self._masses[index], workspace)
            if len(carried):
                carried[:, first + index : last + index + 1] = own


@outer
def _add(
    positions: Floats,
    starts: Floats,
    carried: Floats,
    alike: Floats,
    means: Floats,
    weights: Floats,
    p: float,
    out: Floats,
    tile: int,
) -> None:
    """Adds the costs of some measures with all that follow them, over the upper triangle."""
    for j in range(tile + 1, len(out)):
        for i in range(tile, min(tile + TILE, j)):
            larger, smaller = (i, j) if starts[i + 1] - starts[i] >= starts[j + 1] - starts[j] else (j, i)
            n, m = starts[larger + 1] - starts[larger], starts[smaller + 1] - starts[smaller]
            plain = alike[i] and alike[j]
            near, share = partners(n, m) if plain and n > m else partners(1, 1)
            total = 0.0
            for row in range(len(weights)):
                line = positions[row]
                u, v = line[starts[larger] :][:n], line[starts[smaller] :][:m]
                if not plain:
                    a, b = carried[row][starts[larger] + larger :], carried[row][starts[smaller] + smaller :]
                    cost = merged_row(u, a, v, b, p)
                elif n == m:
                    cost = equal_row(u, v, p)
                else:
                    cost = unequal_row(u, v, near, share, p)
                shift = means[row, i] - means[row, j]
                total += weights[row] * (cost + shift * shift)
            out[i, j] += total
