"""A release of kernel sums by class: integers with noise, which classify any point, bit for bit on every machine."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, NamedTuple, Self

import numpy as np

from mercer.errors import InvalidArray
from mercer.points import ReleaseReference
from mercer.privacy.files import is_published, save_release
from mercer.privacy.grid import Floats
from mercer.privacy.mechanisms import RECIPES

NEEDED = frozenset(
    (
        *("kind", "release", "vector_sha256", "kernel", "spent", "box", "mechanism", "noise_error", "count_error"),
        *("classes", "label_column"),
    )
)
"""What every release must state to answer and to be shown; its mechanism needs more."""

By = Literal["sum", "mean"]
"""Which class is taken: that with the largest kernel sum, so that frequent classes count for more (Bayes' rule with the
classes' shares as prior), or that with the largest mean."""


class ClassifierAnswer(NamedTuple):
    """The classes' kernel sums at some points, and how far they may be off."""

    classes: Floats
    """(K,)."""
    sums: Floats
    """(n, K) of the kernel over the records of each class."""
    records: Floats
    """(K,) the number of records of each class as released."""
    noise_error: Floats
    """(n,) standard deviation of the noise in each sum, exact where the mechanism says so."""
    approximation_error: Floats
    """(n, K): how far each sum may be off without the noise, in the sense that the mechanism states."""

    @property
    def means(self) -> Floats:
        """(n, K): sums over the numbers of records as released, at least 1."""
        return self.sums / np.maximum(self.records, 1.0)

    @property
    def difference_error(self) -> Floats:
        """(n,): standard deviation of the noise in the difference of two classes' sums, which is independent."""
        return self.noise_error * math.sqrt(2)

    def labels(self, by: By = "sum") -> Floats:
        """(n,): the class of the largest sum, or of the largest mean; the first of several."""
        largest: Floats = self.classes[np.argmax(self._values(by), axis=1)]
        return largest

    def scores(self, by: By = "sum") -> Floats:
        """(n, K): sums or means as parts of their total, those below 0 as 0; equal parts where none is above 0."""
        values = np.maximum(self._values(by), 0.0)
        values = np.where(values.any(axis=1, keepdims=True), values, 1.0)
        return values / values.sum(axis=1, keepdims=True)

    def columns(self) -> Floats:
        """(n, 2 K + 1): all that is of each point."""
        return np.column_stack([self.sums, self.approximation_error, self.noise_error])

    def facts(self) -> dict[str, Any]:
        """All that is of no point."""
        return {"classes": self.classes.tolist(), "records": self.records.tolist()}

    @classmethod
    def of(cls, columns: Floats, facts: Mapping[str, Any]) -> Self:
        """The answer of these columns and facts."""
        classes, records = np.array(facts["classes"], np.float64), np.array(facts["records"], np.float64)
        sums, approximation, noise = np.split(columns, [len(classes), 2 * len(classes)], axis=1)
        return cls(classes, sums, records, noise[:, 0], approximation)

    def _values(self, by: By) -> Floats:
        return {"sum": self.sums, "mean": self.means}[by]

    def __str__(self) -> str:
        found, counts = np.unique(self.labels(), return_counts=True)
        listed = ", ".join(f"{label:g}: {count}" for label, count in zip(found, counts, strict=True))
        return (
            f"{len(self.sums)} points in {len(self.classes)} classes, of the largest kernel sum ({listed})\n"
            f"+- {self.difference_error.max(initial=0):.3g} (noise) in the difference of two classes' sums"
        )


@dataclass(frozen=True)
class ClassifierRelease:
    """Kernel sums of each class of private records, paid for once: it answers for ever and costs nothing more."""

    vector: Floats = field(repr=False)
    """(K size,) int64: what a release of kernel sums has, class by class."""
    parameters: dict[str, Any]
    """Public: the classes, the kernel function, the box, the mechanism and all it takes to answer, what was spent."""

    @property
    def id(self) -> str:
        """Of the release."""
        return str(self.parameters["release"])

    @property
    def reference(self) -> ReleaseReference:
        """It, as a field of a spec."""
        return ReleaseReference(release=self.id)

    def __call__(self, points: Floats) -> ClassifierAnswer:
        """The classes' kernel sums at points, shape (n, d) without labels, without asking anybody.

        Raises:
            InvalidArray: the points have not the dimensions of the box.
        """
        return answers(self.vector, self.parameters, np.asarray(points))

    def predict(self, points: Floats, by: By = "sum") -> Floats:
        """(n,): the classes of points: see ClassifierAnswer.labels.

        Raises:
            InvalidArray: the points have not the dimensions of the box.
        """
        return self(points).labels(by)

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write it into an .npz file, for `mercer.load_release`."""
        return save_release(self.vector, self.parameters, path)

    @property
    def is_whole(self) -> bool:
        """Whether it can answer, with the numbers that were published."""
        known = self.parameters
        if not (known.keys() >= NEEDED and (recipe := RECIPES[known["mechanism"]]).stated <= known.keys()):
            return False
        fits = self.vector.shape == (len(known["classes"]) * recipe.size_of(known),)
        return fits and is_published(self.vector, known)

    def __str__(self) -> str:
        known, spent = self.parameters, self.parameters["spent"]
        return (
            f"release {self.id}: {len(known['classes'])} classes by their {known['kernel']['family']} kernel sums, "
            f"{RECIPES[known['mechanism']].title}\n"
            f"spent epsilon = {spent['epsilon']:g}, delta = {spent['delta']:g}\n"
            f"noise +- {known['noise_error']:.3g} in every class's sum, +- {known['count_error']:.3g} in the number of "
            "its records"
        )


def answers(vector: Floats, parameters: Mapping[str, Any], points: Floats) -> ClassifierAnswer:
    """What a release says of points, shape (n, d).

    Raises:
        InvalidArray: they have not the dimensions of the box.
    """
    d = len(parameters["box"]["low"])
    if points.ndim != 2 or points.shape[1] != d:
        raise InvalidArray(f"expected points of shape (n, {d}), without labels, got {points.shape}")
    classes, recipe = np.array(parameters["classes"], np.float64), RECIPES[parameters["mechanism"]]
    found = [recipe.estimates(part, parameters, points) for part in vector.reshape(len(classes), -1)]
    sums, approximation = (
        np.column_stack([getattr(one, name) for one in found]) for name in ("sums", "approximation_error")
    )
    records = np.array([one.records for one in found])
    return ClassifierAnswer(classes, sums, records, found[0].noise_error, approximation)


def query_cost(parameters: Mapping[str, Any], n_points: int) -> tuple[int, int]:
    """Operations and bytes of working memory for so many points, by what a release states."""
    flops, working = RECIPES[parameters["mechanism"]].query_cost(parameters, n_points)
    n_classes = len(parameters["classes"])
    return n_classes * flops, working + 40 * n_points * n_classes
