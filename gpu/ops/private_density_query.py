"""Answers of a release: the arithmetic is the release's own, so that it is the same wherever it is asked."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from gpu.device import Device
from gpu.task import Answer, Task
from mercer.privacy.releases import columns_of, release_of

DOUBLE = np.dtype(np.float64)


def run(tasks: Sequence[Task], device: Device) -> list[Answer]:
    """One answer for each task."""
    return [_answered(task) for task in tasks]


def _answered(task: Task) -> Answer:
    release = release_of(task.arrays["release"], dict(task.about["release"]))
    array, facts = columns_of(release(np.asarray(task.arrays["points"])))
    return Answer(array.shape, DOUBLE, (array,), facts | {"of": release.parameters["kind"]})
