"""From the arrays of jobs to their measures, and to the costs of slices."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from gpu.device import Device
from gpu.leaves import Floats
from gpu.sliced.measures import Measure
from gpu.sliced.slices import Slices, costs
from gpu.task import Task
from mercer.specs.measures import parts, weights_of, weights_of_parts


def measures(task: Task) -> tuple[Measure, Measure]:
    """Both, x first, in float64.

    Raises:
        InvalidSpec: weights of a data set are negative or do not sum to 1.
    """
    return _measure(task, "x"), _measure(task, "y")


def _measure(task: Task, side: str) -> Measure:
    spec: Any = task.spec
    points = np.ascontiguousarray(task.arrays[side], np.float64)
    return Measure(points, weights_of(task.arrays, f"{side}_weights", normalize=spec.normalize))


def stacked_measures(spec: Any, arrays: Mapping[str, Floats]) -> list[Measure]:
    """Those that are stacked on each other, in float64.

    Raises:
        InvalidSpec: weights of a data set are negative or do not sum to 1.
    """
    stacks = parts(np.ascontiguousarray(arrays["points"], np.float64), spec.sizes)
    weights = weights_of_parts(arrays, spec.sizes, normalize=spec.normalize)
    return [Measure(points, own) for points, own in zip(stacks, weights, strict=True)]


def all_costs(tasks: Sequence[Task], requests: Sequence[Slices], device: Device) -> list[Floats]:
    """The costs of one request for each task, computed together; every task hears of the progress.

    Raises:
        Cancelled: one of the jobs was cancelled.
    """

    def report(share: float) -> None:
        for task in tasks:
            task.report(share)

    return costs(requests, device, report)
