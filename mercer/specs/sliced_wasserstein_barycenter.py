"""The barycenter of several measures."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, Self

import numpy as np
from pydantic import BeforeValidator, Field, model_validator

from mercer import plots
from mercer.arrays import ArrayInfo, DType
from mercer.errors import FieldError
from mercer.points import ArrayReference, ColumnField, PointsField
from mercer.specs.base import Cost, Spec
from mercer.specs.measures import (
    SUM_TOLERANCE,
    SizesField,
    check_parts,
    given_of,
    misfits,
    refuse,
    same_dimension,
    sizes_misfit,
    stacked,
)
from mercer.specs.sliced import SORT_FLOPS, WORKING_BYTES, Projections, Seed, bytes_in, size_of, tupled

Shares = Annotated[
    tuple[Annotated[float, Field(ge=0)], ...],
    BeforeValidator(lambda given: tuple(given) if isinstance(given, list | np.ndarray) else given),
]


@dataclass(frozen=True)
class Barycenter:
    """Points between several measures."""

    points: np.ndarray[Any, Any]
    """(n_points, d), of equal weights."""
    objective: tuple[float, ...]
    """sum_k share_k SW_2^2(points, measure_k) before each iteration, and at last of the points."""
    converged: bool
    """Whether the last iteration moved the points by no more than the tolerance."""
    n_projections: int
    """Directions of each iteration."""

    def __str__(self) -> str:
        ended = "converged" if self.converged else "not yet at rest"
        return (
            f"{len(self.points)} points, {ended} after {len(self.objective) - 1} iterations: sum of squared distances "
            f"{self.objective[0]:.6g} at first, {self.objective[-1]:.6g} at last, over {self.n_projections} directions"
        )

    def plot(self, path: str | os.PathLike[str]) -> Path:
        """Save a picture of the points, in their first three coordinates.

        Raises:
            PlotsNotInstalled: matplotlib is missing.
        """
        return plots.clouds(self.points[None], path, titles=[f"{len(self.points)} points"])


class SlicedWassersteinBarycenter(Spec):
    """The n_points points x of equal weights that make sum_k share_k SW_2^2(x, measure_k) least, shape (n_points, d).

    x_i <- x_i - step_size d sum_k share_k v_ki, where 2 v_ki / n_points is the gradient of SW_2^2(x, measure_k) by x_i.
    Directions are taken so that the mean of theta theta^T is I / d: a step of size 1 is then Newton's, and the least
    point of a quadratic bound on the objective, which with fixed directions never grows.

    Directions are frames of d; rules that are turned at random in two dimensions (equal angles) and three (Lebedev).
    The result depends on where x starts, as the objective has more than one local minimum.

    Bonneel et al., Sliced and Radon Wasserstein Barycenters of Measures (2015), section 3.2; Rabin et al., Wasserstein
    Barycenter and its Application to Texture Mixing (2012), section 3.
    """

    kind: Literal["sliced_wasserstein_barycenter"] = "sliced_wasserstein_barycenter"
    points: PointsField
    """Points of all measures one after another, shape (sum of sizes, d)."""
    sizes: SizesField
    """How many points each measure has."""
    normalize: bool = False
    """Divide weights and shares by their sums, which need not be 1."""
    weights: ColumnField | None = None
    """One weight for each of the points, those of each measure of sum 1; equal ones when absent."""
    shares: Shares | None = None
    """How much each measure counts, of sum 1; equally when absent."""
    start: PointsField | None = None
    """Where the points begin, shape (n_points, d); when absent, at means of points drawn from each measure."""
    n_points: Annotated[int, Field(ge=1, le=10_000_000)] | None = None
    """Points of the barycenter; when absent as many as start has, or the largest measure."""
    n_projections: Projections = 100
    """Directions of each iteration, about: as many as the rules or frames have that come nearest, at least d."""
    directions: Literal["fixed", "fresh"] = "fixed"
    """Whether all iterations use the same directions, or each its own."""
    n_iterations: Annotated[int, Field(ge=1, le=1_000)] = 100
    """How often the points are moved at most."""
    tolerance: Annotated[float, Field(ge=0)] = 1e-6
    """Stop when the points move by less, relative to the spread of all measures together (root mean square)."""
    step_size: Annotated[float, Field(gt=0, le=1)] = 1.0
    """Share of Newton's step; below 1 fresh directions disturb the points less."""
    seed: Seed = 0
    """Of the directions and of the start."""
    dtype: DType = "float64"
    """Of projecting and sorting and of the result; points are moved in float64."""

    examples: ClassVar[tuple[dict[str, Any], ...]] = (
        {
            "kind": "sliced_wasserstein_barycenter",
            "points": [[0.0, 0.0], [1.0, 0.0], [0.0, 1.0], [4.0, 4.0], [5.0, 4.0], [4.0, 5.0]],
            "sizes": [3, 3],
            "n_projections": 10,
        },
        {
            "kind": "sliced_wasserstein_barycenter",
            "points": [[0.0], [1.0], [10.0], [12.0], [13.0]],
            "sizes": [2, 3],
            "weights": [0.5, 0.5, 0.25, 0.5, 0.25],
            "shares": [0.75, 0.25],
            "start": [[0.0], [1.0], [2.0], [3.0]],
            "directions": "fresh",
            "dtype": "float32",
        },
    )

    @classmethod
    def of(cls, measures: Sequence[Any], weights: Sequence[Any] | None = None, **options: Any) -> Self:
        """A job over arrays of shape (n_k, d), with weights of shape (n_k,) for each or for none.

        Raises:
            ValueError: they have different numbers of columns.
        """
        return cls(**stacked(measures, weights), **options)

    @model_validator(mode="after")
    def _options_fit(self) -> Self:
        if self.shares is not None:
            self._check_shares(self.shares)
        check_parts(self.weights, self.sizes, normalize=self.normalize)
        return self

    def _check_shares(self, shares: tuple[float, ...]) -> None:
        total = math.fsum(shares)
        if len(shares) != len(self.sizes):
            raise ValueError(f"expected {len(self.sizes)} shares, one for each measure, got {len(shares)}")
        if total == 0 or not (self.normalize or abs(total - 1) <= SUM_TOLERANCE):
            raise ValueError(f"expected shares that sum to 1 within {SUM_TOLERANCE:g}, got {total:.9g}")

    @classmethod
    def answer(cls, array: np.ndarray[Any, Any], facts: Mapping[str, Any]) -> Barycenter:
        """The points with the way to them."""
        return Barycenter(array, **tupled(facts))

    def arrays(self) -> dict[str, ArrayReference]:
        """The points, and weights and a start where they are given."""
        return given_of(self, "points", "weights", "start")

    def check(self, infos: Mapping[str, ArrayInfo]) -> None:
        """Sizes that sum to the points, a weight for each, and a start of as many columns and points.

        Raises:
            InvalidSpec: naming each field at fault.
        """
        refuse(self._misfits(infos), "The measures do not fit their sizes, their weights or the start.")

    def _misfits(self, infos: Mapping[str, ArrayInfo]) -> Iterator[FieldError]:
        yield from sizes_misfit(infos, self.sizes)
        yield from misfits(infos, "points", "weights")
        if "start" in infos:
            yield from same_dimension(infos, "points", "start")
            if self.n_points not in (None, n := infos["start"].shape[0]):
                yield FieldError("/n_points", f"expected {n} points, as start has, got {self.n_points}")

    def batch_key(self, infos: Mapping[str, ArrayInfo]) -> str:
        """Kind, dtype, and whether it is small."""
        return f"{self.kind}:{self.dtype}:{size_of(self._projected(infos))}"

    def cost(self, infos: Mapping[str, ArrayInfo]) -> Cost:
        """(4d + 64) flops for every point of a measure and of the barycenter, direction and iteration."""
        d, n = infos["points"].shape[1], self.support(infos)
        bytes_out = n * d * (4 if self.dtype == "float32" else 8)
        peak = WORKING_BYTES + 8 * d * (3 * sum(self.sizes) + 6 * n + max(d, self.n_projections))
        return Cost(self._projected(infos) * (4 * d + SORT_FLOPS), bytes_in(infos), bytes_out, peak)

    def support(self, infos: Mapping[str, ArrayInfo]) -> int:
        """How many points the barycenter has."""
        if "start" in infos:
            return infos["start"].shape[0]
        return self.n_points or max(self.sizes)

    def _projected(self, infos: Mapping[str, ArrayInfo]) -> int:
        """Numbers to sort in all iterations."""
        points = sum(self.sizes) + len(self.sizes) * self.support(infos)
        return points * max(infos["points"].shape[1], self.n_projections) * (self.n_iterations + 1)
