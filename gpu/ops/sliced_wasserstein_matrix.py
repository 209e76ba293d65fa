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
from gpu.sliced.directions import Directions, Layout, directions, given, of_layout, stream, turned
from gpu.sliced.family import family
from gpu.sliced.formula import slice_costs
from gpu.sliced.measures import Measure
from gpu.task import Answer, Task
from mercer.specs.measures import parts, weights_of_parts
from mercer.specs.sliced_wasserstein_matrix import SlicedWassersteinMatrix


def reference(spec: SlicedWassersteinMatrix, arrays: Mapping[str, Floats]) -> Floats:
    """(N, N), each pair by its quantile functions."""
    measures = _measures(spec, arrays)
    shared = directions_of(spec, measures[0].d)
    costs = [[slice_costs(x, y, shared.rows, spec.p) @ shared.weights for y in measures] for x in measures]
    return _quantity(spec, np.array(costs))


def run(tasks: Sequence[Task], device: Device) -> list[Answer]:
    """One answer for each task."""
    return [_answer(task, device) for task in tasks]


def _answer(task: Task, device: Device) -> Answer:
    spec = cast(SlicedWassersteinMatrix, task.spec)
    measures = _measures(spec, task.arrays)
    shared = directions_of(spec, measures[0].d)
    costs = cpu.costs(family(measures, spec.p, np.dtype(spec.dtype)), shared, device, task.report)
    matrix = _quantity(spec, costs)
    facts: dict[str, Any] = {
        "n_projections": len(shared.rows),
        "method": spec.sampling(measures[0].d),
        "computed_on": "cpu",
    }
    return Answer(matrix.shape, matrix.dtype, (matrix,), facts)


def _measures(spec: SlicedWassersteinMatrix, arrays: Mapping[str, Floats]) -> list[Measure]:
    stacks = parts(np.ascontiguousarray(arrays["points"], np.float64), spec.sizes)
    weights = weights_of_parts(arrays, spec.sizes, normalize=spec.normalize)
    return [Measure(points, own) for points, own in zip(stacks, weights, strict=True)]


def directions_of(spec: SlicedWassersteinMatrix, d: int) -> Directions:
    """Those of all pairs. A rule is turned once: nobody asks here how far turns differ."""
    if d == 1:
        return given(np.ones((1, 1)))
    method, random = spec.sampling(d), stream(spec.seed)
    if method == "lebedev":
        return of_layout(method, d, turned(method, spec.n_projections, 1), random)
    if method == "equispaced":
        return of_layout(method, d, Layout(1, spec.n_projections), random)
    if method == "orthogonal":
        return of_layout(method, d, Layout(-(-spec.n_projections // d), d), random)
    return directions(method, d, spec.n_projections, random)


def _quantity(spec: SlicedWassersteinMatrix, costs: Floats) -> Floats:
    if spec.quantity == "cost":
        return costs
    return costs ** (1 / spec.p) if spec.gamma is None else np.exp(-spec.gamma * costs)
