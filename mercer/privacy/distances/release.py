"""A release of distances: integers with noise, and how they answer for any point, bit for bit on every machine."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from mercer.errors import InvalidArray
from mercer.points import ReleaseReference
from mercer.privacy.distances import MECHANISMS, Distances, Request
from mercer.privacy.files import is_published, save_release
from mercer.privacy.grid import Floats
from mercer.privacy.products import POINTS_AT_ONCE

NEEDED = frozenset(("kind", "release", "vector_sha256", "mechanism_sha256", "noise_error", "count_error"))
"""What a release states to answer and to be shown, beside the request."""

TITLES = {"l1": "l1", "l2": "l2", "l2_squared": "squared l2", "lp_p": "lp^p"}


class DistanceAnswer(NamedTuple):
    """Estimates at some points, and how far they may be off."""

    sums: Floats
    """(n,) of the distances to all records."""
    means: Floats
    """(n,) sums over the number of records as released, at least 1."""
    records: float
    """The number of records as released."""
    noise_error: Floats
    """(n,) standard deviation of the noise in each sum: exact."""
    approximation_error: Floats
    """(n,) a bound of what each sum is off without the noise, by the number of records as released and twice its error
    more; for l2 in several dimensions the part of the directions is a standard deviation."""

    def __str__(self) -> str:
        return (
            f"sums of distances at {len(self.sums)} points, over about {self.records:.0f} records\n"
            f"+- {self.noise_error.max(initial=0):.3g} (noise) and "
            f"{self.approximation_error.max(initial=0):.3g} (approximation)"
        )


@dataclass(frozen=True)
class DistanceRelease:
    """Sums of distances to private records, paid for once: it answers for ever and costs nothing more."""

    vector: Floats = field(repr=False)
    """(size,) int64."""
    parameters: dict[str, Any]
    """Public: the distance, the box, the mechanism and all it takes to answer, what was spent, the noise."""

    @property
    def id(self) -> str:
        """Of the release."""
        return str(self.parameters["release"])

    @property
    def reference(self) -> ReleaseReference:
        """It, as a field of a spec."""
        return ReleaseReference(release=self.id)

    def __call__(self, points: Floats) -> DistanceAnswer:
        """Estimates at points, shape (n, d), without asking anybody; points out of the box are moved to its border.

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
        if not self.parameters.keys() >= NEEDED:
            return False
        recipe = recipe_of(Request.of(self.parameters))
        fits = self.vector.shape == (recipe.size,) and recipe.digest() == self.parameters["mechanism_sha256"]
        return fits and is_published(self.vector, self.parameters)

    def __str__(self) -> str:
        known = self.parameters
        return (
            f"release {self.id}: {TITLES[known['distance']]} distances by {known['mechanism']}\n"
            f"spent epsilon = {known['epsilon']:g}, delta = {known['delta']:g}\n"
            f"noise at most +- {known['noise_error']:.3g} in a sum, +- {known['count_error']:.3g} in the number of "
            "records"
        )


@lru_cache(maxsize=16)
def recipe_of(request: Request) -> Distances:
    """Its mechanism, whose tables are made once."""
    return MECHANISMS[request.mechanism](request)


def answers(vector: Floats, parameters: Mapping[str, Any], points: Floats) -> DistanceAnswer:
    """What a release says of points, shape (n, d).

    Raises:
        InvalidArray: they have not the dimensions of the box, or the mechanism cannot be made again.
    """
    request = Request.of(dict(parameters))
    if points.ndim != 2 or points.shape[1] != (d := len(request.low)):
        raise InvalidArray(f"expected points of shape (n, {d}), got {points.shape}")
    recipe = recipe_of(request)
    if recipe.digest() != parameters["mechanism_sha256"]:
        raise InvalidArray("expected the numbers that the release was made with; this version of NumPy draws others")
    starts = range(0, max(len(points), 1), POINTS_AT_ONCE)
    parts = [recipe.estimates(vector, points[start : start + POINTS_AT_ONCE]) for start in starts]
    sums, noise, approximation = (
        np.concatenate([getattr(part, name) for part in parts])
        for name in ("sums", "noise_error", "approximation_error")
    )
    records = parts[0].records
    return DistanceAnswer(sums, sums / max(records, 1.0), records, noise, approximation)


def query_cost(parameters: Mapping[str, Any], n_points: int) -> tuple[int, int]:
    """Operations and bytes of working memory for so many points, by what a release states.

    The tables of all axes are made anew for each 1,024 points; of a tree, its nodes are looked up for each ring.
    """
    d, cells, rings = len(parameters["box"]["low"]), parameters["cells"], parameters.get("rings", 1)
    axes = max(d, parameters["n_directions"])
    tables = 400 * axes * cells * -(-n_points // POINTS_AT_ONCE)
    points = 50 * n_points * axes * (d if parameters["n_directions"] else 1) * rings * parameters.get("levels", 1)
    return tables + points, 400 * axes * cells + 160 * min(n_points, POINTS_AT_ONCE) * (axes + rings)
