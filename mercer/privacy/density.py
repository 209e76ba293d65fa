"""A release of kernel sums: integers with noise, and how they answer for any point, bit for bit on every machine."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from mercer.errors import InvalidArray
from mercer.points import ReleaseReference
from mercer.privacy.files import is_published, save_release
from mercer.privacy.grid import Floats
from mercer.privacy.mechanisms import RECIPES

NEEDED = frozenset(
    ("kind", "release", "vector_sha256", "kernel", "spent", "box", "mechanism", "noise_error", "count_error")
)
"""What every release must state to answer and to be shown; its mechanism needs more."""


class DensityAnswer(NamedTuple):
    """Estimates at some points, and how far they may be off."""

    sums: Floats
    """(n,) of the kernel over all records."""
    means: Floats
    """(n,) sums over the number of records as released, at least 1."""
    records: float
    """The number of records as released."""
    noise_error: Floats
    """(n,) standard deviation of the noise in each sum: exact."""
    approximation_error: Floats
    """(n,) how far each sum may be off without the noise. Of random features it bounds the standard deviation over the
    frequencies, 1.02 n / sqrt(2 m), where n is the number of records as released and twice its error more."""

    def __str__(self) -> str:
        return (
            f"kernel sums at {len(self.sums)} points, over about {self.records:.0f} records\n"
            f"+- {self.noise_error.max(initial=0):.3g} (noise) and "
            f"{self.approximation_error.max(initial=0):.3g} (approximation)"
        )


@dataclass(frozen=True)
class DensityRelease:
    """Kernel sums of private records, paid for once: it answers for ever and costs nothing more."""

    vector: Floats = field(repr=False)
    """(size,) int64."""
    parameters: dict[str, Any]
    """Public: the kernel function, the box, the mechanism and all it takes to answer, what was spent, the noise."""

    @property
    def id(self) -> str:
        """Of the release."""
        return str(self.parameters["release"])

    @property
    def reference(self) -> ReleaseReference:
        """It, as a field of a spec."""
        return ReleaseReference(release=self.id)

    def __call__(self, points: Floats) -> DensityAnswer:
        """Estimates at points, shape (n, d), without asking anybody.

        Raises:
            InvalidArray: the points have not the dimensions of the box.
        """
        return answers(self.vector, self.parameters, np.asarray(points))

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write it into an .npz file, for `mercer.load_release`."""
        return save_release(self.vector, self.parameters, path)

    @property
    def is_whole(self) -> bool:
        """Whether it can answer, with the numbers that were published."""
        vector, known = self.vector, self.parameters
        if not (known.keys() >= NEEDED and (recipe := RECIPES[known["mechanism"]]).stated <= known.keys()):
            return False
        return vector.shape == (recipe.size_of(known),) and is_published(vector, known)

    def __str__(self) -> str:
        known, spent = self.parameters, self.parameters["spent"]
        return (
            f"release {self.id}: {known['kernel']['family']} kernel by {RECIPES[known['mechanism']].title}\n"
            f"spent epsilon = {spent['epsilon']:g}, delta = {spent['delta']:g}\n"
            f"noise +- {known['noise_error']:.3g} in every sum, +- {known['count_error']:.3g} in the number of records"
            f"{RECIPES[known['mechanism']].remark(known)}"
        )


def answers(vector: Floats, parameters: Mapping[str, Any], points: Floats) -> DensityAnswer:
    """What a release says of points, shape (n, d).

    Raises:
        InvalidArray: they have not the dimensions of the box.
    """
    d = len(parameters["box"]["low"])
    if points.ndim != 2 or points.shape[1] != d:
        raise InvalidArray(f"expected points of shape (n, {d}), got {points.shape}")
    found = RECIPES[parameters["mechanism"]].estimates(vector, parameters, points)
    means = found.sums / max(found.records, 1.0)
    return DensityAnswer(found.sums, means, found.records, found.noise_error, found.approximation_error)


def query_cost(parameters: Mapping[str, Any], n_points: int) -> tuple[int, int]:
    """Operations and bytes of working memory for so many points, by what a release states."""
    return RECIPES[parameters["mechanism"]].query_cost(parameters, n_points)
