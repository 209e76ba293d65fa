"""The matrix of sliced Wasserstein distances: its formula in plain NumPy, and how it is computed.

Each measure is sorted once, so that little is left to do for a pair: the CPU's threads do it whatever the device.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, cast

import numpy as np

from gpu.cpu import sliced_matrix as cpu
from gpu.device import Device
from gpu.leaves import Floats
from gpu.sliced.directions import Directions, Layout, given, of_layout, single, stream
from gpu.sliced.family import family
from gpu.sliced.formula import slice_costs
from gpu.sliced.inputs import stacked_measures
from gpu.task import Answer, Task
from mercer.specs.sliced_wasserstein_matrix import SlicedWassersteinMatrix


def reference(spec: SlicedWassersteinMatrix, arrays: Mapping[str, Floats]) -> Floats:
    """(N, N), each pair by its quantile functions."""
    measures = stacked_measures(spec, arrays)
    shared = directions_of(spec, measures[0].d)
    costs = [[slice_costs(x, y, shared.rows, spec.p) @ shared.weights for y in measures] for x in measures]
    return _quantity(spec, np.array(costs))


def run(tasks: Sequence[Task], device: Device) -> list[Answer]:
    """One answer for each task."""
    return [_answer(task, device) for task in tasks]


def _answer(task: Task, device: Device) -> Answer:
    spec = cast(SlicedWassersteinMatrix, task.spec)
    measures = stacked_measures(spec, task.arrays)
    shared = directions_of(spec, measures[0].d)
    costs = cpu.costs(family(measures, spec.p, np.dtype(spec.dtype)), shared, device, task.report)
    matrix = _quantity(spec, costs)
    facts: dict[str, Any] = {
        "n_projections": len(shared.rows),
        "method": spec.sampling(measures[0].d),
        "computed_on": "cpu",
    }
    return Answer(matrix.shape, matrix.dtype, (matrix,), facts)


def directions_of(spec: SlicedWassersteinMatrix, d: int) -> Directions:
    """Those of all pairs. A rule is turned once: nobody asks here how far turns differ."""
    if d == 1:
        return given(np.ones((1, 1)))
    method, random = spec.sampling(d), stream(spec.seed)
    shape = Layout(1, spec.n_projections) if method == "equispaced" else single(method, d, spec.n_projections)
    return of_layout(method, d, shape, random)


def _quantity(spec: SlicedWassersteinMatrix, costs: Floats) -> Floats:
    if spec.quantity == "cost":
        return costs
    return costs ** (1 / spec.p) if spec.gamma is None else np.exp(-spec.gamma * costs)
