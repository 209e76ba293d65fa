"""The permutation test: its formula in plain NumPy, and how it is computed, on the CPU's threads whatever the device.

Sorting the pooled points once for each line leaves so little to do for a permutation that no device is faster.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import partial
from typing import cast

import numpy as np

from gpu.cpu.relabelled import Coupling, add_costs, coupling
from gpu.device import Device
from gpu.leaves import Floats
from gpu.sliced.directions import directions, stream
from gpu.sliced.divisions import Pool, drawn, pool
from gpu.task import Answer, Task
from mercer.specs.sliced import BYTES_PER_PROJECTION, WORKING_BYTES
from mercer.specs.sliced_wasserstein_test import DIVISIONS, SlicedWassersteinTest

TIE = 1e-12
"""Relative: statistics that differ by less are equal but for rounding, and count as reached."""


def reference(spec: SlicedWassersteinTest, arrays: Mapping[str, Floats]) -> Floats:
    """T_1, ..., T_B, each from the quantile functions of the divided points."""
    x, y = (arrays[name].astype(np.float64) for name in ("x", "y"))
    made = pool(x, y, spec.p, np.dtype(np.float64))
    points, thetas = made.distinct[made.places] * made.scale, lines(spec, x.shape[1])
    return np.array([_formula(points, division, thetas, spec.p) for division in _all_drawn(spec, made)])


def _formula(points: Floats, labels: Floats, thetas: Floats, p: float) -> float:
    """1/L sum_l W_p^p(theta_l#x, theta_l#y), by the integral of |F^-1 - G^-1|^p over the levels."""
    u, v = (np.sort(thetas @ points[labels == side].T, axis=1) for side in (1, 0))
    n, m = u.shape[1], v.shape[1]
    levels = np.unique(np.concatenate([np.arange(n) * m, np.arange(m) * n, [n * m]]))
    gaps = np.abs(u[:, levels[:-1] // m] - v[:, levels[:-1] // n]) ** p
    return float((gaps @ np.diff(levels)).mean() / (n * m))


def _all_drawn(spec: SlicedWassersteinTest, made: Pool) -> Floats:
    return np.concatenate([drawn(made, spec.seed, *block) for block in _blocks(spec.n_permutations)])


def run(tasks: Sequence[Task], device: Device) -> list[Answer]:
    """One answer for each task."""
    return [_answer(task, device) for task in tasks]


def _answer(task: Task, device: Device) -> Answer:
    spec = cast(SlicedWassersteinTest, task.spec)
    x, y = (np.ascontiguousarray(task.arrays[name], np.float64) for name in ("x", "y"))
    made = pool(x, y, spec.p, np.dtype(spec.dtype))
    thetas = lines(spec, x.shape[1])
    statistics = _statistics(spec, made, thetas, task, device)
    observed, permuted = statistics[0], statistics[1:]
    reached = int((permuted >= observed * (1 - TIE)).sum())
    unit = made.scale**spec.p
    facts = {**_p_value(reached, len(permuted)), "statistic": float(observed * unit), "n_projections": len(thetas)}
    return Answer(permuted.shape, permuted.dtype, (permuted * unit,), facts)


def _p_value(reached: int, drawn: int) -> dict[str, float]:
    """With the standard error of a binomial share: of `drawn` permutations, those that reached the statistic."""
    p_value = (1 + reached) / (1 + drawn)
    return {"p_value": p_value, "standard_error": math.sqrt(drawn * p_value * (1 - p_value)) / (1 + drawn)}


def lines(spec: SlicedWassersteinTest, d: int) -> Floats:
    """(L, d). On a line there is one direction and its opposite, which has the same cost."""
    if d == 1:
        return np.ones((1, 1))
    return directions(spec.sampling(d), d, spec.n_projections, stream(spec.seed)).rows[: spec.n_projections]


def _blocks(n_permutations: int) -> list[tuple[int, int]]:
    """Number and size of each; they do not depend on the machine."""
    starts = range(0, n_permutations, DIVISIONS)
    return [(block, min(DIVISIONS, n_permutations - start)) for block, start in enumerate(starts)]


def _statistics(spec: SlicedWassersteinTest, made: Pool, thetas: Floats, task: Task, device: Device) -> Floats:
    """(1 + B,) T and T_1, ..., T_B of the scaled points; some lines at a time, the divisions drawn anew for each."""
    coupled, blocks = coupling(*made.sizes), _blocks(spec.n_permutations)
    out = np.zeros(1 + spec.n_permutations)
    step = max(1, WORKING_BYTES // (BYTES_PER_PROJECTION * len(made.places)))
    for start in range(0, len(thetas), step):
        z, order = _sorted_lines(made, thetas[start : start + step], device)
        add = partial(_add_block, spec, made, z, order, coupled, out)
        add_costs(z, order, made.labels[None], *coupled, spec.p, out[:1])
        for done, _ in enumerate(device.threads.map(add, blocks), 1):
            task.report((start + min(step, len(thetas) - start) * done / len(blocks)) / len(thetas))
    return out / len(thetas)


def _add_block(
    spec: SlicedWassersteinTest,
    made: Pool,
    z: Floats,
    order: Floats,
    coupled: Coupling,
    out: Floats,
    block: tuple[int, int],
) -> None:
    """Of some divisions on some lines."""
    number, count = block
    first = 1 + number * DIVISIONS
    add_costs(z, order, drawn(made, spec.seed, number, count), *coupled, spec.p, out[first : first + count])


def _sorted_lines(made: Pool, thetas: Floats, device: Device) -> tuple[Floats, Floats]:
    """(S, N) projected points in ascending order, and which they are."""
    projected = (thetas.astype(made.distinct.dtype) @ made.distinct.T)[:, made.places]
    order = np.concatenate(list(device.threads.map(_order, np.array_split(projected, device.n_threads))))
    return np.take_along_axis(projected, order, axis=1), order.astype(np.int32)


def _order(projected: Floats) -> Floats:
    return projected.argsort(axis=1)
