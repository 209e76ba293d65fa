"""The barycenter: its formula in plain NumPy, and how it is computed, on the CPU's threads whatever the device."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple, cast

import numpy as np

from gpu.device import Device
from gpu.leaves import Floats
from gpu.ops import flow_formulas as formulas
from gpu.sliced.descent import PLAIN
from gpu.sliced.directions import Directions, Layout, Sampling, given, of_layout, single, stream
from gpu.sliced.gradients import Target, slope, target
from gpu.sliced.inputs import stacked_measures
from gpu.sliced.measures import Measure
from gpu.task import Answer, Task
from mercer.arrays import info_of
from mercer.errors import InvalidSpec
from mercer.specs.sliced_wasserstein_barycenter import SlicedWassersteinBarycenter

START = 2**63
"""The stream that the start is drawn from; those of the iterations count from 0."""


def run(tasks: Sequence[Task], device: Device) -> list[Answer]:
    """One answer for each task."""
    return [_answer(task, device) for task in tasks]


class _Weighed(NamedTuple):
    """A measure and how much it counts."""

    measure: Measure
    share: float


def _answer(task: Task, device: Device) -> Answer:
    spec = cast(SlicedWassersteinBarycenter, task.spec)
    weighed = _weighed(spec, task.arrays)
    with np.errstate(over="ignore", invalid="ignore"):  # _slope refuses what is too large
        points, objective, converged = _descend(task, weighed, device)
    facts = {
        "objective": objective,
        "converged": converged,
        "n_projections": len(directions_of(spec, points.shape[1], 0).rows),
    }
    cast_points = points.astype(spec.dtype)
    return Answer(points.shape, cast_points.dtype, (cast_points,), facts)


def _weighed(spec: SlicedWassersteinBarycenter, arrays: Mapping[str, Floats]) -> list[_Weighed]:
    """The measures that count at all."""
    shares = np.asarray(spec.shares or np.ones(len(spec.sizes)))
    made = zip(stacked_measures(spec, arrays), (shares / shares.sum()).tolist(), strict=True)
    return [_Weighed(measure, share) for measure, share in made if share > 0]


def directions_of(spec: SlicedWassersteinBarycenter, d: int, iteration: int) -> Directions:
    """Of one iteration, with mean theta theta^T = I / d; fixed ones are those of the first."""
    random = stream(spec.seed, iteration if spec.directions == "fresh" else 0)
    if d == 1:
        return given(np.ones((1, 1)))
    if d == 2:
        return of_layout("equispaced", d, Layout(1, max(2, spec.n_projections)), random)
    method: Sampling = "lebedev" if d == 3 else "orthogonal"
    return of_layout(method, d, single(method, d, spec.n_projections), random)


def start_of(spec: SlicedWassersteinBarycenter, arrays: Mapping[str, Floats]) -> Floats:
    """As given; else each point is the mean of one drawn from every measure. (n_points, d) float64, to be changed."""
    if "start" in arrays:
        return np.array(arrays["start"], np.float64)
    n = spec.support({name: info_of(array, minimum=False) for name, array in arrays.items()})
    random = stream(spec.seed, START)
    points = np.zeros((n, arrays["points"].shape[1]))
    for measure, share in _weighed(spec, arrays):
        points += share * measure.points[random.choice(measure.n, n, p=measure.weights)]
    return points


def _descend(task: Task, weighed: Sequence[_Weighed], device: Device) -> tuple[Floats, list[float], bool]:
    """The points, the objective before every iteration and at last, and whether they came to rest."""
    spec = cast(SlicedWassersteinBarycenter, task.spec)
    targets = [(target(measure, np.dtype(spec.dtype)), share) for measure, share in weighed]
    points, objective, moved = start_of(spec, task.arrays), list[float](), math.inf
    least = spec.tolerance * _spread(weighed)
    while True:
        drawn = directions_of(spec, points.shape[1], len(objective))
        value, velocity = _slope(task, points, targets, drawn, len(objective), device)
        objective.append(value)
        if moved <= least or len(objective) > spec.n_iterations:
            return points, objective, moved <= least
        step = spec.step_size * points.shape[1] * velocity
        points -= step
        moved = math.sqrt(np.square(step).sum(axis=1).mean())


def _slope(
    task: Task, points: Floats, targets: Sequence[tuple[Target, float]], drawn: Directions, done: int, device: Device
) -> tuple[float, Floats]:
    """The objective over some directions, and sum_k share_k v_k.

    Raises:
        InvalidSpec: squared distances are beyond float64.
    """
    spec: Any = task.spec
    value, velocity = 0.0, np.zeros_like(points)
    for index, (to, share) in enumerate(targets):
        task.report((done + index / len(targets)) / (spec.n_iterations + 1))
        one = slope(Measure(points), to, drawn.rows, drawn.weights, device)
        value += share * float(drawn.weights @ one.costs)
        velocity += share * one.velocity
    if not math.isfinite(value):
        raise InvalidSpec("The points are too far apart: expected squared distances within float64's range.")
    return value, velocity


def _spread(weighed: Sequence[_Weighed]) -> float:
    """Root mean square distance of all points from their common mean, each measure by its share."""
    centre = sum(share * measure.mean() for measure, share in weighed)
    return math.sqrt(sum(share * float(m.masses() @ np.square(m.points - centre).sum(axis=1)) for m, share in weighed))


def reference(spec: SlicedWassersteinBarycenter, arrays: Mapping[str, Floats]) -> Floats:
    """The points after all iterations, whatever the tolerance, each step by the gradients written out."""
    points = start_of(spec, arrays)
    n, d = points.shape
    for iteration in range(spec.n_iterations):
        drawn = directions_of(spec, d, iteration)
        gradients: Iterator[Floats] = (
            share * formulas.estimate(PLAIN, Measure(points), measure, drawn)[1]
            for measure, share in _weighed(spec, arrays)
        )
        points = points - spec.step_size * d * sum(gradients) * n / 2
    return points
