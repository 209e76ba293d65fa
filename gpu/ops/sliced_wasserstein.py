"""The sliced Wasserstein estimate: jobs of a batch have their slices computed together, and each its own estimate."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, cast

import numpy as np

from gpu.cpu.swaps import mean_cost
from gpu.device import Device
from gpu.leaves import Floats
from gpu.sliced.adaptive import level
from gpu.sliced.estimators import Mean, n_effective
from gpu.sliced.formula import slice_costs
from gpu.sliced.inputs import measures
from gpu.sliced.intervals import ALPHA, Interval, around, half_width, root, root_error
from gpu.sliced.methods import UNCONTROLLED
from gpu.sliced.slices import costs
from gpu.sliced.work import ROUNDING, Work
from gpu.task import Answer, Task
from mercer.errors import InvalidSpec
from mercer.specs import SlicedWasserstein

DOUBLE = np.dtype(np.float64)


def reference(task: Task, direction: Floats) -> float:
    """W_p^p of the projections on one direction, in float64."""
    spec = cast(SlicedWasserstein, task.spec)
    return float(slice_costs(*measures(task), direction[None], spec.p)[0])


def run(tasks: Sequence[Task], device: Device) -> list[Answer]:
    """One answer for each task.

    Raises:
        InvalidSpec: weights or directions of a data set are not what they must be.
        JobFailed: a tolerance is not met.
    """
    works = [Work(task) for task in tasks]
    active = [work for work in works if work.has_slices]
    while active:
        found = costs([work.draw() for work in active], device, _reporting(active))
        for work, of_slices in zip(active, found, strict=True):
            work.take(of_slices)
        active = [work for work in active if work.goes_on()]
    return [_answer(work) for work in works]


def _reporting(works: Sequence[Work]) -> Callable[[float], None]:
    def report(share: float) -> None:
        for work in works:
            work.report(share)

    return report


class Estimate(NamedTuple):
    """A mean, moved to where it can be."""

    mean: Mean
    value: float
    clamped: bool


def _answer(work: Work) -> Answer:
    estimate = _estimate(work)
    facts = _facts(work, estimate)
    if work.spec.per_slice:
        array = np.column_stack([work.drawn.rows, work.drawn.weights, work.costs])
    else:
        array = np.array([facts["power"], facts["distance"]])
    return Answer(array.shape, DOUBLE, (array,), facts)


def _estimate(work: Work) -> Estimate:
    if work.plan.method == "moment":
        return Estimate(Mean(work.known.bracket.concentrated, None, 0), work.known.bracket.concentrated, False)
    if not work.has_slices:
        value = mean_cost(work.pair.x.points, work.pair.y.points)
        return Estimate(Mean(value, 0.0, 0), value, False)
    mean = Mean(float(work.costs[0]), 0.0, 0) if work.plan.method == "exact" else work.mean()
    if not np.isfinite(mean.value) or not np.isfinite(mean.error or 0.0):
        raise InvalidSpec("The points are too far apart: the squares of their costs are beyond float64's range.")
    if work.plan.method in UNCONTROLLED:
        return Estimate(mean, mean.value, False)
    low, high = _certain(work)
    value = min(max(mean.value, low), high)
    return Estimate(mean, value, abs(mean.value - value) > ROUNDING[work.spec.dtype] * abs(high))


def _certain(work: Work) -> Interval:
    """What SW_p^p is between in any case."""
    if work.spec.p != 2:
        return 0.0, np.inf
    return work.known.bracket.lower, work.known.bracket.upper


def _facts(work: Work, estimate: Estimate) -> dict[str, Any]:
    """The fields of SlicedWassersteinEstimate."""
    p, mean = work.spec.p, estimate.mean
    interval = _interval(work, estimate)
    bounded = p == 2
    return {
        "distance": float(estimate.value ** (1 / p)),
        "power": float(estimate.value),
        "distance_error": root_error(estimate.value, mean.error, p),
        "power_error": mean.error,
        "interval": None if interval is None else list(root(interval, p)),
        "power_interval": None if interval is None else list(interval),
        "p": p,
        "method": work.plan.method,
        "reason": work.plan.reason,
        "n_projections": work.n_taken,
        "n_effective": n_effective(work.costs, work.drawn, mean.error) if work.n_taken else None,
        "n_replicates": work.drawn.replicates if work.n_taken else 0,
        "lower_bound": work.known.bracket.lower if bounded else None,
        "gaussian_bound": work.gaussian_bound() if bounded else None,
        "upper_bound": work.known.bracket.upper if bounded else None,
        "clamped": estimate.clamped,
        "seed": work.spec.seed,
    }


def _interval(work: Work, estimate: Estimate) -> Interval | None:
    """Of SW_p^p: around the estimate, or where that has no error what is certain, if anything is."""
    low, high = _certain(work)
    within = min(low, estimate.value), max(high, estimate.value)  # a plain mean of slices may be outside
    alpha = ALPHA if work.spec.rel_tol is None else level(work.look)
    if (width := half_width(estimate.mean, alpha)) is None:
        return within if work.spec.p == 2 else None
    return around(estimate.value, width, within)
