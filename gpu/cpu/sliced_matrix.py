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
from gpu.cpu.sliced_costs import WHOLE, equal_masses, equal_row, masses, merged_row
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
"""Measures that are compared with all others together: a row that was read serves so many times."""


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
        self._has_masses = len(set(sizes)) > 1 or not self.alike.all()
        own = [equal_masses(m.n) if m.weights is None else masses(m.weights) for m in family.measures]
        self._masses = own if self._has_masses else []
        self._workspaces = Workspaces(device, WORKSPACE_BYTES)
        atoms = int(self.starts[-1])
        mass_bytes = 0 if self.alike.all() else (atoms + len(sizes)) * MASS.itemsize
        self.chunk_rows = max(1, CHUNK_BYTES // (atoms * family.dtype.itemsize + mass_bytes))

    def sort(self, rows: Floats) -> tuple[Floats, Floats]:
        """Positions (L, n_1 + ... + n_N) and masses, those of each measure with a column beyond.

        Masses have one row where all measures have equal weights, and none where their sizes are equal too.
        """
        thetas = rows.astype(self._family.dtype)
        positions = np.empty((len(rows), int(self.starts[-1])), self._family.dtype)
        height = 0 if not self._has_masses else 1 if self.alike.all() else len(rows)
        carried = np.empty((height, positions.shape[1] + len(self.alike)), MASS)
        for _ in each(partial(self._sort_one, thetas, positions, carried), range(len(self.alike)), self._device):
            pass
        return positions, carried

    def _sort_one(self, thetas: Floats, positions: Floats, carried: Floats, index: int) -> None:
        measure = self._family.measures[index]
        first, last = int(self.starts[index]), int(self.starts[index + 1])
        with self._workspaces.one() as workspace:
            projected = workspace.take((len(thetas), measure.n), thetas.dtype)
            for start, stop in point_blocks(measure.n, measure.d, thetas.dtype):
                with workspace.piece():
                    columns = projected[:, start:stop]
                    points = measure.points[start:stop]
                    project(points, self._family.centres[index], self._family.scale, thetas, columns, workspace)
            given = None if measure.weights is None else self._masses[index]
            positions[:, first:last], own = in_order(projected, given, workspace)
            if len(carried):
                carried[:, first + index : last + index + 1] = own[: len(carried)]


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
    for row in range(len(weights)):
        line = positions[row]
        for j in range(tile + 1, len(out)):
            v = line[starts[j] : starts[j + 1]]
            for i in range(tile, min(tile + TILE, j)):
                u = line[starts[i] : starts[i + 1]]
                if alike[i] and alike[j] and len(u) == len(v):
                    cost = equal_row(u, v, p)
                else:
                    weighed = carried[min(row, len(carried) - 1)]
                    a = weighed[starts[i] + i : starts[i + 1] + i + 1]
                    b = weighed[starts[j] + j : starts[j + 1] + j + 1]
                    cost = merged_row(u, a, v, b, p) / WHOLE
                shift = means[row, i] - means[row, j]
                out[i, j] += weights[row] * (cost + shift * shift)
