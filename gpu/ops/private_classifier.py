"""Private kernel sums of each class: as private_density, with the sums of every class in one vector."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import numpy as np

from gpu.device import Device
from gpu.leaves import Floats
from gpu.ops.private_density import INT64, drawn_noise, facts_of, features_of
from gpu.ops.private_density import reference as sums_of
from gpu.private.classes import ClassSums
from gpu.private.pipeline import Integers, exact_sums
from gpu.task import Answer, Task
from mercer.privacy.terms import Terms
from mercer.specs.private_classifier import PrivateClassifier


def reference(spec: PrivateClassifier, points: Floats, at: Floats) -> Floats:
    """The classes' kernel sums themselves, (n, K), without noise or features: what a release estimates."""
    labels, plain = points[:, spec.label_column], np.delete(points, spec.label_column, axis=1)
    return np.column_stack([sums_of(spec, plain[labels == label], at) for label in spec.classes])


def run(tasks: Sequence[Task], device: Device) -> list[Answer]:
    """One release for each task."""
    return [_released(task, device) for task in tasks]


def _released(task: Task, device: Device) -> Answer:
    spec, terms = cast(PrivateClassifier, task.spec), cast(Terms, task.about["x"])
    recipe = spec.recipe(terms)
    vector = drawn_noise(recipe, len(spec.classes) * recipe.size)
    vector += exact(spec, terms, task.arrays["x"], device)
    facts: dict[str, Any] = facts_of(spec, recipe) | {"classes": spec.classes, "label_column": spec.label_column}
    return Answer(vector.shape, INT64, (vector,), facts)


def exact(spec: PrivateClassifier, terms: Terms, points: Floats, device: Device) -> Integers:
    """The integers that noise is added to, (K size,)."""
    recipe = spec.recipe(terms)
    features = features_of(recipe, {})
    sums = ClassSums(terms.domain, features, recipe.count_norm, spec.label_column, spec.classes)
    return exact_sums(sums, points, device)
