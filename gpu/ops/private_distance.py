"""Private sums of distances: the noise first, then the exact integers, and nothing of these is kept."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import numpy as np

from gpu.device import Device
from gpu.leaves import Floats
from gpu.private.distances import exact_distances
from gpu.private.noise import discrete_laplace, rounded_gaussian
from gpu.task import Answer, Task
from mercer.privacy.distances import Distances, Request
from mercer.privacy.distances.release import recipe_of
from mercer.privacy.terms import Terms
from mercer.specs.private_distance import PrivateDistance

INT64 = np.dtype(np.int64)


def reference(spec: PrivateDistance, points: Floats, at: Floats) -> Floats:
    """The sums of distances themselves, (n,), without noise: what a release estimates."""
    z = np.abs(points[:, None, :] - at[None, :, :])
    distances = {
        "l1": lambda: z.sum(axis=2),
        "l2": lambda: np.sqrt((z**2).sum(axis=2)),
        "l2_squared": lambda: (z**2).sum(axis=2),
        "lp_p": lambda: (z ** float(spec.p or 1)).sum(axis=2),
    }[spec.distance]()
    return cast(Floats, distances.sum(axis=0))


def run(tasks: Sequence[Task], device: Device) -> list[Answer]:
    """One release for each task."""
    return [_released(task, device) for task in tasks]


def _released(task: Task, device: Device) -> Answer:
    spec, terms = cast(PrivateDistance, task.spec), cast(Terms, task.about["x"])
    request = spec.request(terms)
    recipe = recipe_of(request)
    vector = noise(recipe)
    vector += exact_distances(recipe, task.arrays["x"], device)
    return Answer(vector.shape, INT64, (vector,), _parameters(spec, request, recipe))


def noise(recipe: Distances) -> Floats:
    """(size,) int64: what is added to the exact integers."""
    calibration = recipe.calibration
    sampler = rounded_gaussian if calibration.delta else discrete_laplace
    return sampler(calibration.scale, recipe.size)


def _parameters(spec: PrivateDistance, request: Request, recipe: Distances) -> dict[str, Any]:
    """Everything that is public, and enough to answer with."""
    calibration = recipe.calibration
    return {
        "kind": spec.kind,
        "data": spec.x.private,
        **request.parameters(),
        "spent": {"epsilon": spec.epsilon, "delta": spec.delta},
        "noise": "rounded_gaussian" if spec.delta else "discrete_laplace",
        "noise_scale": str(calibration.scale),
        "sensitivity": calibration.l2 if spec.delta else calibration.l1,
        "mechanism_sha256": recipe.digest(),
        "noise_error": recipe.noise_error,
        "count_error": recipe.count_error,
        **recipe.about(),
    }
