"""Private kernel sums: the noise first, then the exact sum, and nothing of the sum is kept."""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from typing import Any, cast

import numpy as np

from gpu.device import Device
from gpu.leaves import Floats
from gpu.private.noise import discrete_laplace, rounded_gaussian
from gpu.private.pipeline import Features, Integers, exact_sums
from gpu.task import Answer, Task
from mercer.privacy.recipe import Recipe
from mercer.privacy.terms import Terms
from mercer.specs.private_classifier import PrivateClassifier
from mercer.specs.private_density import PrivateDensity, spectrum_of

INT64 = np.dtype(np.int64)


def reference(spec: PrivateDensity | PrivateClassifier, points: Floats, at: Floats) -> Floats:
    """The kernel sums themselves, (n,), without noise or features: what a release estimates."""
    name, scale = spectrum_of(spec.kernel)
    z = (points[:, None, :] - at[None, :, :]) / np.asarray(scale)
    l1, l2 = np.abs(z).sum(axis=2), np.sqrt((z**2).sum(axis=2))
    values = {
        "gaussian": lambda: np.exp(-(l2**2) / 2),
        "exponential": lambda: np.exp(-l2),
        "laplacian_l1": lambda: np.exp(-l1),
        "rational_l2_squared": lambda: 1 / (1 + l2**2),
        "rational_l2": lambda: 1 / (1 + l2),
        "rational_l1": lambda: 1 / (1 + l1),
    }[name]()
    return cast(Floats, values.sum(axis=0))


def run(tasks: Sequence[Task], device: Device) -> list[Answer]:
    """One release for each task."""
    return [_released(task, device) for task in tasks]


def _released(task: Task, device: Device) -> Answer:
    spec, terms = cast(PrivateDensity, task.spec), cast(Terms, task.about["x"])
    recipe = spec.recipe(terms, {name: len(array) for name, array in task.arrays.items()})
    vector = drawn_noise(recipe, recipe.size)
    features = features_of(recipe, task.arrays)
    vector += exact(features, recipe, task.arrays["x"], device)
    published = features.published(vector)
    facts = facts_of(spec, recipe) | published.facts
    return Answer(published.vector.shape, INT64, (published.vector,), facts)


def features_of(recipe: Recipe, arrays: Mapping[str, Floats]) -> Features:
    """What is computed of each record."""
    made: Features = importlib.import_module(f"gpu.private.{recipe.name}").features(recipe, arrays)
    return made


def exact(features: Features, recipe: Recipe, points: Floats, device: Device) -> Integers:
    """The integers that noise is added to, (size,): the features' sums, and a constant's."""
    return np.append(exact_sums(features, points, device), len(points) * recipe.count_norm)


def drawn_noise(recipe: Recipe, size: int) -> Floats:
    """The noise of so many numbers."""
    sampler = rounded_gaussian if recipe.request.delta else discrete_laplace
    return sampler(recipe.scale, size)


def facts_of(spec: PrivateDensity | PrivateClassifier, recipe: Recipe) -> dict[str, Any]:
    """Everything that is public, and enough to answer with."""
    terms = recipe.request.terms
    spectrum, scale = spectrum_of(spec.kernel)
    return {
        "kind": spec.kind,
        "data": spec.x.private,
        "mechanism": recipe.name,
        "kernel": spec.kernel.model_dump(mode="json", exclude_none=True),
        "spectrum": spectrum,
        "scale": scale,
        "box": terms.domain.model_dump(mode="json"),
        "neighbours": terms.neighbours,
        "spent": {"epsilon": spec.epsilon, "delta": spec.delta},
        "noise": "rounded_gaussian" if spec.delta else "discrete_laplace",
        "noise_scale": str(recipe.scale),
        "sensitivity": recipe.l2 if spec.delta else recipe.l1,
        "noise_error": recipe.noise_error,
        "count_error": recipe.count_error,
        **recipe.parameters(),
    }
