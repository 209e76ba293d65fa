"""The generalised distance: its formula in plain NumPy, and how jobs of it are run on a device."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial
from itertools import combinations_with_replacement
from typing import Any, cast

import numpy as np
from scipy.special import stdtrit

from gpu.device import Device
from gpu.leaves import Floats
from gpu.sliced.defining import circular, monomials, unit_of
from gpu.sliced.directions import directions, stream
from gpu.sliced.formula import line_cost
from gpu.sliced.inputs import all_costs, measures
from gpu.sliced.measures import Measure, pair
from gpu.sliced.roots import length, rooted
from gpu.sliced.slices import Slices, costs
from gpu.task import Answer, Task
from mercer.errors import InvalidSpec
from mercer.specs.generalised_sliced_wasserstein import LINES, GeneralisedSlicedWasserstein
from mercer.specs.sliced import WORKING_BYTES

LINE = np.ones((1, 1))
"""The direction of numbers on a line."""
BYTES_PER_VALUE = 64
"""Of a value of the circular function: as it is computed, centred, scaled, and as a measure by itself."""


def reference(task: Task) -> float:
    """The mean of W_p^p over the directions."""
    spec = cast(GeneralisedSlicedWasserstein, task.spec)
    x, y = measures(task)
    values = [(_values(spec, x.points, theta), _values(spec, y.points, theta)) for theta in thetas(spec, x.d)]
    return float(np.mean([line_cost(u, x, v, y, spec.p) for u, v in values]))


def _values(spec: GeneralisedSlicedWasserstein, points: Floats, theta: Floats) -> Floats:
    """g(x_i, theta), shape (n,)."""
    if spec.radius is not None:
        return np.sqrt(((points - spec.radius * theta) ** 2).sum(axis=1))
    if spec.degree is not None:
        terms = combinations_with_replacement(range(points.shape[1]), spec.degree)
        return np.sum([t * points[:, list(term)].prod(axis=1) for t, term in zip(theta, terms, strict=True)], axis=0)
    return points @ theta


def thetas(spec: GeneralisedSlicedWasserstein, d: int) -> Floats:
    """(L, M), independent and uniform; both of those on a line where the function is not odd, and one where it is."""
    if (parameters := spec.n_parameters(d)) == 1:
        return np.array([[1.0], [-1.0]]) if spec.radius is not None else LINE
    return directions("mc", parameters, spec.n_projections, stream(spec.seed)).rows


def run(tasks: Sequence[Task], device: Device) -> list[Answer]:
    """One answer for each task; those whose slices are linear in some features of the points are computed together."""
    flat = [task for task in tasks if cast(GeneralisedSlicedWasserstein, task.spec).radius is None]
    requests, units = zip(*map(_features, flat), strict=True) if flat else ((), ())
    found = iter([each * unit for each, unit in zip(all_costs(flat, requests, device), units, strict=True)])
    return [
        answer(task, _circular(task, device) if cast(Any, task.spec).radius is not None else next(found))
        for task in tasks
    ]


def _features(task: Task) -> tuple[Slices, float]:
    """Slices of features of the points, and what their costs are to be multiplied by.

    Raises:
        InvalidSpec: the costs are beyond float64.
    """
    spec = cast(GeneralisedSlicedWasserstein, task.spec)
    x, y = measures(task)
    directions, unit = thetas(spec, x.d), 1.0
    if spec.degree is not None:
        scale = unit_of(x.points, y.points)
        unit = _power(scale, spec.degree * spec.p)
        x, y = (Measure(monomials(side.points / scale, spec.degree), side.weights) for side in (x, y))
    return Slices(pair(x, y, spec.p, np.dtype(spec.dtype)), directions), unit


def _power(scale: float, power: float) -> float:
    """A power of the points' unit.

    Raises:
        InvalidSpec: it is beyond float64.
    """
    if power * math.log2(scale) >= 1023:
        raise InvalidSpec(f"The points are too far from the origin: expected their powers of {power:g} within float64.")
    return float(scale**power)


def _circular(task: Task, device: Device) -> Floats:
    """(L,): every direction is a pair of measures on a line, some at a time.

    Raises:
        InvalidSpec: the costs are beyond float64.
    """
    spec = cast(GeneralisedSlicedWasserstein, task.spec)
    x, y = measures(task)
    directions, radius = thetas(spec, x.d), spec.radius or 0.0
    scale = unit_of(x.points, y.points, np.array(radius))
    x, y = Measure(x.points / scale, x.weights), Measure(y.points / scale, y.weights)
    found, step = np.empty(len(directions)), max(1, min(LINES, WORKING_BYTES // (BYTES_PER_VALUE * (x.n + y.n))))
    for start in range(0, len(found), step):
        requests = _lines(x, y, spec, directions[start : start + step], radius / scale)
        report = partial(_report, task, start / len(found), len(requests) / len(found))
        found[start : start + step] = np.concatenate(costs(requests, device, report))
    return found * _power(scale, spec.p)


def _lines(
    x: Measure, y: Measure, spec: GeneralisedSlicedWasserstein, directions: Floats, radius: float
) -> list[Slices]:
    """A request for each direction."""
    values = (circular(side.points, directions, radius)[:, :, None] for side in (x, y))
    return [
        Slices(pair(Measure(u, x.weights), Measure(v, y.weights), spec.p, np.dtype(spec.dtype)), LINE)
        for u, v in zip(*values, strict=True)
    ]


def _report(task: Task, done: float, part: float, share: float) -> None:
    task.report(done + part * share)


def answer(task: Task, costs: Floats) -> Answer:
    """With the standard error of a mean of independent numbers, and Student's interval."""
    spec = cast(GeneralisedSlicedWasserstein, task.spec)
    n, parameters = len(costs), spec.n_parameters(task.arrays["x"].shape[1])
    # Deviations from a number among the costs: equal costs give exactly that number and the error 0.
    deviations = costs - costs[0]
    power = float(costs[0] + deviations.mean())
    error, critical = None, 0.0
    if parameters == 1:
        error = 0.0
    elif n > 1:
        error, critical = length(deviations - deviations.mean()) / math.sqrt(n * (n - 1)), float(stdtrit(n - 1, 0.975))
    facts = {**rooted(power, error, critical, spec.p), "n_parameters": parameters}
    return Answer(costs.shape, costs.dtype, (costs,), facts)
