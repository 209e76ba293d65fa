"""The gradient flow: its formula in plain NumPy, and how it is computed, on the CPU's threads whatever the device."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, cast

import numpy as np

from gpu.device import Device
from gpu.leaves import Floats
from gpu.ops import flow_formulas as formulas
from gpu.sliced.assignment import squared_w2
from gpu.sliced.descent import PLAIN, Coefficient, Control, Descent, Estimator, descent
from gpu.sliced.directions import Directions, Sampling, of_layout, single, stream
from gpu.sliced.gradients import Target, target
from gpu.sliced.inputs import measures
from gpu.sliced.measures import Measure
from gpu.task import Answer, Task
from mercer.errors import FieldError, InvalidSpec
from mercer.specs.sliced_wasserstein_flow import SlicedWassersteinFlow

BOUNDS: dict[str, Control] = {"lcv": "lower", "ucv": "upper", "centred": "lower"}
"""Of the methods that have a control; the others are named after how they draw directions."""
ROOTED_STEP = 0.01
"""As in the paper's experiment."""


def run(tasks: Sequence[Task], device: Device) -> list[Answer]:
    """One answer for each task."""
    return [_answer(task, device) for task in tasks]


class Snapshot(NamedTuple):
    """Points on their way."""

    step: int
    points: Floats
    estimate: float


def _answer(task: Task, device: Device) -> Answer:
    spec = cast(SlicedWassersteinFlow, task.spec)
    x, y = measures(task)
    kept, plain_steps = _flow(task, x, target(y, np.dtype(spec.dtype)), device)
    exact = [squared_w2(snapshot.points, y.points) for snapshot in kept] if spec.exact_w2 else None
    facts = {
        "method": spec.method,
        "n_projections": len(directions_of(spec, x.d, 0).rows),
        "step_size": step_size_of(spec, x.d),
        "steps": [snapshot.step for snapshot in kept],
        "estimates": [snapshot.estimate for snapshot in kept],
        "exact_w2_squared": exact,
        "plain_steps": plain_steps,
    }
    points = np.stack([snapshot.points for snapshot in kept]).astype(spec.dtype)
    return Answer(points.shape, points.dtype, (points,), facts)


def snapshot_steps(spec: SlicedWassersteinFlow) -> list[int]:
    """After how many steps a snapshot is kept."""
    return [round(spec.n_steps * kept / spec.snapshots) for kept in range(1, spec.snapshots + 1)]


def directions_of(spec: SlicedWassersteinFlow, d: int, step: int) -> Directions:
    """Those of one step: they depend on the seed and the step alone."""
    method = cast(Sampling, "mc" if spec.method in BOUNDS else spec.method)
    return of_layout(method, d, single(method, d, spec.n_projections), stream(spec.seed, step))


def estimator_of(spec: SlicedWassersteinFlow) -> Estimator:
    """What is made of the slices."""
    if spec.method not in BOUNDS:
        return PLAIN
    regressed: Coefficient = "intercept" if spec.intercept else "second_moment"
    return Estimator(BOUNDS[spec.method], "one" if spec.method == "centred" else regressed)


def step_size_of(spec: SlicedWassersteinFlow, d: int) -> float:
    """As given; else one that does not overshoot: the largest eigenvalue of d/L sum theta theta^T is (1 + sqrt(d/L))^2.

    Marchenko and Pastur, Distribution of eigenvalues for some sets of random matrices (1967): its limit.
    """
    if spec.step_size is not None:
        return spec.step_size
    return ROOTED_STEP if spec.loss == "rooted" else (1 + math.sqrt(d / spec.n_projections)) ** -2


def _flow(task: Task, x: Measure, to: Target, device: Device) -> tuple[list[Snapshot], int]:
    """The snapshots, and how many steps took the plain estimate."""
    spec = cast(SlicedWassersteinFlow, task.spec)
    points, kept, plain_steps = x.points.copy(), list[Snapshot](), 0
    estimator, due, step_size = estimator_of(spec), set(snapshot_steps(spec)), step_size_of(spec, x.d)
    for step in range(spec.n_steps + 1):
        task.report(step / (spec.n_steps + 1))
        rows, weights, _ = directions_of(spec, x.d, step)
        now = _descent(Measure(points, x.weights), to, rows, weights, estimator, device)
        if step in due:
            kept.append(Snapshot(step, points.copy(), now.estimate))
        if step == spec.n_steps:
            break
        if spec.loss == "rooted" and now.estimate <= 0 < now.plain:
            now, plain_steps = _descent(Measure(points, x.weights), to, rows, weights, PLAIN, device), plain_steps + 1
        points -= step_size * _factor(spec, now, x.d) * now.velocity
    return kept, plain_steps


def _descent(*arguments: Any) -> Descent:
    """As `descent`, of points that have not run away.

    Raises:
        InvalidSpec: their distances are beyond float64.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        now = descent(*arguments)
    if not math.isfinite(now.estimate):
        detail = "expected a step size at which the points do not run away, and squared distances within float64"
        raise InvalidSpec("The points are too far from each other.", errors=(FieldError("/step_size", detail),))
    return now


def _factor(spec: SlicedWassersteinFlow, now: Descent, d: int) -> float:
    """f; without a distance there is nowhere to go."""
    if spec.loss == "squared":
        return d
    return 1 / math.sqrt(now.estimate) if now.estimate > 0 else 0.0


def reference(spec: SlicedWassersteinFlow, arrays: Mapping[str, Floats]) -> Floats:
    """The points after each snapshot's steps, (S, n, d), by derivatives of every slice and control written out."""
    x, y = measures(Task(spec, arrays))
    points, a, kept = x.points, x.masses(), []
    for step in range(1, spec.n_steps + 1):
        drawn = directions_of(spec, x.d, step - 1)
        estimate, slope = formulas.estimate(estimator_of(spec), Measure(points, x.weights), y, drawn)
        if spec.loss == "rooted" and estimate <= 0:
            estimate, slope = formulas.estimate(PLAIN, Measure(points, x.weights), y, drawn)
        factor = x.d if spec.loss == "squared" else 1 / math.sqrt(estimate)
        points = points - step_size_of(spec, x.d) * factor * slope / (2 * a[:, None])
        if step in snapshot_steps(spec):
            kept.append(points)
    return np.stack(kept)
