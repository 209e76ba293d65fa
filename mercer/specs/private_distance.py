"""Sums of distances to private records: released once, under a budget, as a data structure that answers for ever."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal, Self

import numpy as np
from pydantic import Field, model_validator

from mercer.arrays import ArrayInfo
from mercer.errors import FieldError, InvalidSpec
from mercer.points import ArrayReference, PrivateField
from mercer.privacy.accounting import MOST_DELTA, MOST_EPSILON, Loss
from mercer.privacy.distances import Distances, Request
from mercer.privacy.distances.release import DistanceRelease, recipe_of
from mercer.privacy.distances.request import Distance, Mechanism, largest_distance
from mercer.privacy.terms import Terms
from mercer.specs.base import Cost, Spec
from mercer.specs.private_density import ReleaseId
from mercer.specs.sliced import Seed

MAX_NUMBERS = 2**18
"""Axes times cells: the released vector has at most four times as many numbers."""
MAX_PRODUCTS = 2**32
"""Axes times squared cells: what one core does in a minute at most."""
QUICK_PRODUCTS = 2**28
"""The same, where the mechanism chooses the cells: about a second."""
MOST_CELLS, FEWEST_CELLS, TREE_CELLS = 2**14, 16, 2**10
DIRECTIONS = {"gaussian": 256, "laplace": 64}
"""Laplace noise grows with the square root of their number, Gaussian noise does not."""
ALPHA = 0.1
CHUNK_BYTES = 2**26
"""Working memory, whatever the number of records."""

CHOICES: dict[Distance, tuple[Mechanism, ...]] = {
    "l1": ("spectral", "tree", "tree_rings"),
    "l2": ("spectral",),
    "l2_squared": ("moments",),
    "lp_p": ("spectral", "moments", "tree_rings"),
}


class PrivateDistance(Spec):
    """Private sums of distances D(y) = sum_i dist(x_i, y) for any y, released once with integer noise.

    dist is l1 = sum_j |x_j - y_j|, l2 = (sum_j (x_j - y_j)^2)^(1/2), l2_squared or lp_p = sum_j |x_j - y_j|^p. Three
    kinds of integers are released. spectral: along each axis of width R, |x - y|^p = R^p (a_0 + sum_k a_k cos(pi k
    (x - y) / R)), so sums of cosines and sines, each with the noise that makes the error least: 4.4 R / epsilon for p =
    1, whatever the number of records (docs/privacy.md); the axes are the coordinates, or for l2, which is c_d times the
    mean of |u . (x - y)|, random directions u. moments: n, sum_i x_i and sum_i |x_i|^2. tree and tree_rings: a binary
    tree of counts, compared with in benchmarks. With delta = 0 the noise is discrete Laplace noise of scale
    L1 sensitivity / epsilon; otherwise rounded Gaussian noise of the least sigma for (epsilon, delta).

    Backurs, Lin, Mahabadi, Silwal and Tarnawski, Efficiently computing similarities to private datasets (2024),
    algorithms 1 to 4 (tree_rings); Liu, Hu, Reneau, Song and Liu, Differentially private kernel density estimation
    (2024) (tree); Hay, Rastogi, Miklau and Suciu (2010) (consistent).
    """

    releases: ClassVar[bool] = True

    kind: Literal["private_distance"] = "private_distance"
    x: PrivateField
    """The private data set."""
    distance: Distance
    """l1, l2, l2_squared, or lp_p with a p."""
    p: Annotated[float, Field(ge=1, le=16)] | None = None
    """Of lp_p alone."""
    epsilon: Annotated[float, Field(ge=1e-6, le=MOST_EPSILON)]
    """Privacy loss of this release."""
    delta: Annotated[float, Field(ge=0, le=float(MOST_DELTA))] = 0.0
    """0 for pure differential privacy and Laplace noise; above it Gaussian noise."""
    mechanism: Literal["auto", "spectral", "moments", "tree", "tree_rings"] = "auto"
    """auto takes the one of least error: moments for squares, spectral otherwise."""
    cells: Annotated[int, Field(ge=FEWEST_CELLS, le=2**16)] | None = None
    """Of the grid on each axis, a power of two; by default as many as the errors of max_records records ask for."""
    n_directions: Annotated[int, Field(ge=1, le=1024)] | None = None
    """Of l2 alone: by default 256 with Gaussian noise and 64 with Laplace noise."""
    direction_seed: Seed | None = None
    """Of l2 alone: public, and nothing to do with the noise; 0 by default."""
    alpha: Annotated[float, Field(ge=0.01, le=1)] | None = None
    """Of tree_rings alone: a ring ends 1 + alpha times as far away as it begins; 0.1 by default."""
    consistent: bool = False
    """Of tree alone: whether each node is made the sum of its children, by least squares."""
    release_id: ReleaseId | None = None
    """Set by the service."""

    examples: ClassVar[tuple[dict[str, Any], ...]] = (
        {
            "kind": "private_distance",
            "x": {"private": "0" * 32},
            "distance": "l1",
            "epsilon": 1.0,
        },
        {
            "kind": "private_distance",
            "x": {"private": "0" * 32},
            "distance": "l2",
            "epsilon": 0.5,
            "delta": 1e-7,
            "n_directions": 128,
        },
        {
            "kind": "private_distance",
            "x": {"private": "0" * 32},
            "distance": "l1",
            "epsilon": 0.5,
            "mechanism": "tree",
            "cells": 256,
            "consistent": True,
        },
    )

    @classmethod
    def answer(cls, array: np.ndarray[Any, Any], facts: Mapping[str, Any]) -> DistanceRelease:
        """The release: a data structure that answers for any point."""
        return DistanceRelease(array, dict(facts))

    @model_validator(mode="after")
    def _options_fit(self) -> Self:
        if (self.distance == "lp_p") != (self.p is not None):
            raise ValueError("expected p with lp_p, and with no other distance")
        if self._chosen not in CHOICES[self.distance]:
            raise ValueError(f"expected {self.distance} by one of auto, {', '.join(CHOICES[self.distance])}")
        if self._chosen == "moments" and self._power != 2:
            raise ValueError("expected p = 2 with moments")
        given = {
            "cells": self.cells is not None and self._chosen == "moments",
            "n_directions": self.n_directions is not None and self.distance != "l2",
            "direction_seed": self.direction_seed is not None and self.distance != "l2",
            "alpha": self.alpha is not None and self._chosen != "tree_rings",
            "consistent": self.consistent and self._chosen != "tree",
        }
        if wrong := [name for name, ignored in given.items() if ignored]:
            raise ValueError(f"expected no {wrong[0]} with {self.distance} by {self._chosen}")
        if self.cells is not None and self.cells & (self.cells - 1):
            raise ValueError("expected a power of two in cells")
        return self

    @property
    def _power(self) -> float:
        return float(self.p or (2 if self.distance == "l2_squared" else 1))

    @property
    def _chosen(self) -> Mechanism:
        if self.mechanism != "auto":
            return self.mechanism
        return "moments" if self._power == 2 else "spectral"

    def arrays(self) -> dict[str, ArrayReference]:
        """The private data set."""
        return {"x": self.x}

    def request(self, terms: Terms) -> Request:
        """With everything that was left open."""
        axes = self._axes(terms)
        return Request(
            distance=self.distance,
            p=self._power,
            mechanism=self._chosen,
            low=terms.domain.low,
            high=terms.domain.high,
            neighbours=terms.neighbours,
            max_records=terms.max_records,
            epsilon=self.epsilon,
            delta=self.delta,
            cells=self._cells(axes, terms.max_records),
            n_directions=axes if self.distance == "l2" else 0,
            direction_seed=self.direction_seed or 0,
            alpha=self.alpha or ALPHA,
            consistent=self.consistent,
        )

    def _axes(self, terms: Terms) -> int:
        if self.distance != "l2" or terms.domain.d == 1:
            return terms.domain.d
        return self.n_directions or DIRECTIONS["gaussian" if self.delta else "laplace"]

    def _cells(self, axes: int, max_records: int) -> int:
        """By default so many that the grid moves an answer by less than an eighth of the noise."""
        if self._chosen == "moments":
            return 1
        if self.cells is not None:
            return self.cells
        if self._chosen != "spectral":
            return max(FEWEST_CELLS, min(TREE_CELLS, _power_of_two(MAX_NUMBERS // axes)))
        room = min(MAX_NUMBERS // axes, int((QUICK_PRODUCTS // axes) ** 0.5), MOST_CELLS)
        wanted = 2 * int(max_records * self.epsilon)
        return max(FEWEST_CELLS, _power_of_two(min(room, wanted)))

    def recipe(self, terms: Terms) -> Distances:
        """What it is made of."""
        return recipe_of(self.request(terms))

    def check(self, infos: Mapping[str, ArrayInfo]) -> None:
        """A grid of a size that can be computed, distances that float64 has, and noise that can be drawn.

        Raises:
            InvalidSpec: naming the field at fault.
        """
        terms: Terms = infos["x"].about
        if terms.domain.d == 1 and not (self.n_directions is self.direction_seed is None):
            field = "n_directions" if self.n_directions is not None else "direction_seed"
            detail = f"expected no {field} in one dimension, where l2 is l1"
            raise InvalidSpec("There are no directions.", errors=(FieldError(f"/{field}", detail),))
        request, axes = self.request(terms), self._axes(terms)
        if axes * request.cells > MAX_NUMBERS or axes * request.cells**2 > MAX_PRODUCTS:
            detail = (
                f"expected axes * cells <= {MAX_NUMBERS} and axes * cells^2 <= {MAX_PRODUCTS}, "
                f"got {axes} axes and {request.cells} cells"
            )
            raise InvalidSpec("There are too many cells.", errors=(FieldError("/cells", detail),))
        if not 1e-100 <= largest_distance(request) <= 1e100:
            detail = "expected a largest distance in the domain between 1e-100 and 1e100"
            raise InvalidSpec("The distance does not fit the data.", errors=(FieldError("/distance", detail),))
        try:
            recipe_of(request).calibration.check()
        except ValueError as error:
            raise InvalidSpec("There is no such noise.", errors=(FieldError("/epsilon", str(error)),)) from None

    def privacy_loss(self, infos: Mapping[str, ArrayInfo]) -> Loss:
        """Of its noise."""
        return self.recipe(infos["x"].about).calibration.loss

    def plan(self, infos: Mapping[str, ArrayInfo]) -> dict[str, Any]:
        """The mechanism and its predicted errors."""
        recipe = self.recipe(infos["x"].about)
        return {
            "mechanism": self._chosen,
            "noise": "Gaussian" if self.delta else "Laplace",
            "noise_error": recipe.noise_error,
            "count_error": recipe.count_error,
            "approximation_error_per_record": recipe.error_per_record,
            **recipe.about(),
        }

    def batch_key(self, infos: Mapping[str, ArrayInfo]) -> str:
        """One for all: releases are made one by one."""
        return f"{self.kind}:release"

    def cost(self, infos: Mapping[str, ArrayInfo]) -> Cost:
        """By as many records as there may be; the data are read by chunks, so that memory does not depend on them."""
        d, recipe = infos["x"].shape[1], self.recipe(infos["x"].about)
        return Cost(recipe.flops, 8 * d, 8 * recipe.size, CHUNK_BYTES + recipe.table_bytes)


def _power_of_two(most: int) -> int:
    """The largest up to this, at least 1."""
    return 1 << max(most, 1).bit_length() - 1
