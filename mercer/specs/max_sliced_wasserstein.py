"""The max-sliced Wasserstein distance."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
from pydantic import Field

from mercer.arrays import ArrayInfo, DType
from mercer.points import ArrayReference, PointsField
from mercer.specs import sliced
from mercer.specs.base import Cost, Spec
from mercer.specs.measures import WeightsField

MAX_EIGEN = 1_024
"""Dimensions up to which eigenvectors of the covariances are computed, which takes about a second."""
MORE_STARTS = 5
"""Beside the random ones: the difference of the means, and at both ends of two spectra."""
SEARCHED = 1_600
"""Directions that a search around the best one tries, at most."""


@dataclass(frozen=True)
class MaxSlicedWassersteinBound:
    """The direction found along which two measures differ most, and by how much."""

    direction: np.ndarray[Any, Any]
    """(d,) of length 1; points from the mean of x to that of y."""
    distance: float
    """W_p along it: max-SW_p where `exact`, else a lower bound of it."""
    power: float
    """Its p-th power."""
    upper_bound: float | None
    """max-SW_p is no larger; None for p > 2, and where the dimensions are too many to compute it."""
    exact: bool
    """Whether the direction is certain to be the best: on a line, and where the upper bound is reached."""
    best_random: float
    """The largest W_p among the random directions, from the best of which the ascents started."""
    p: float

    def __str__(self) -> str:
        sign = "=" if self.exact else ">="
        upper = "" if self.exact or self.upper_bound is None else f", <= {self.upper_bound:.6g}"
        shown = np.array2string(self.direction, precision=4, threshold=8)
        return (
            f"max-SW_{self.p:g} {sign} {self.distance:.8g}{upper} (best of the random directions: "
            f"{self.best_random:.6g})\nalong {shown}"
        )


class MaxSlicedWasserstein(Spec):
    """Max-sliced Wasserstein distance: the direction along which two measures differ most.

    max-SW_p = max_{|theta| = 1} W_p(theta#x, theta#y), x of shape (n, d), y of shape (m, d). There may be many local
    maxima: ascents start from the best of n_projections random directions, from the difference of the means, and from
    leading eigenvectors of S_x - S_y and of S_x against S_y (covariances; d <= 1,024). They find a lower bound.

    For p <= 2 there is an upper bound, the root of the largest eigenvalue of delta delta^T + S_x + S_y, delta the
    difference of the means, because W_p^2 <= W_2^2 <= (theta . delta)^2 + theta^T (S_x + S_y) theta on every slice.
    The result is the best direction found, shape (d,).

    Deshpande et al., Max-Sliced Wasserstein Distance and its use for GANs (2019), definition 2.
    """

    kind: Literal["max_sliced_wasserstein"] = "max_sliced_wasserstein"
    x: PointsField
    """Points of the first measure, shape (n, d)."""
    y: PointsField
    """Points of the second measure, shape (m, d)."""
    normalize: bool = False
    """Divide weights by their sum, whatever it is."""
    x_weights: WeightsField | None = None
    """Weights of x; equal when absent."""
    y_weights: WeightsField | None = None
    """Weights of y; equal when absent."""
    p: sliced.Order = 2.0
    """Order of the distance, at least 1."""
    n_projections: sliced.Projections = 1_000
    """Random directions, of which the best are starts."""
    n_starts: Annotated[int, Field(ge=1, le=1_000)] = 10
    """Ascents from the best random directions; five more start elsewhere."""
    n_steps: Annotated[int, Field(ge=1, le=10_000)] = 200
    """Most steps of an ascent; it ends before where it is flat."""
    seed: sliced.Seed = 0
    """Of the random directions."""
    dtype: DType = "float64"
    """Of projecting and sorting; sums are in float64."""

    examples: ClassVar[tuple[dict[str, Any], ...]] = (
        {
            "kind": "max_sliced_wasserstein",
            "x": [[0.0, 0.1], [0.3, -0.2], [-0.1, 0.4]],
            "y": [[1.0, 0.2], [1.3, -0.1]],
            "n_projections": 20,
        },
        {
            "kind": "max_sliced_wasserstein",
            "x": [[0.0, 0.1, 0.2], [0.3, -0.2, 0.5]],
            "y": [[1.0, 0.2, 0.1], [1.3, -0.1, 0.0]],
            "x_weights": [0.25, 0.75],
            "p": 1.0,
            "n_projections": 10,
            "n_starts": 2,
            "dtype": "float32",
        },
    )

    @classmethod
    def answer(cls, array: np.ndarray[Any, Any], facts: Mapping[str, Any]) -> MaxSlicedWassersteinBound:
        """The direction and the bounds."""
        return MaxSlicedWassersteinBound(direction=array, **facts)

    def arrays(self) -> dict[str, ArrayReference]:
        """Both measures."""
        return sliced.arrays_of(self)

    def check(self, infos: Mapping[str, ArrayInfo]) -> None:
        """The same d for x and y, and weights for all points.

        Raises:
            InvalidSpec: naming each field at fault.
        """
        sliced.check_measures(infos)

    def batch_key(self, infos: Mapping[str, ArrayInfo]) -> str:
        """Kind, dtype, and whether it is small."""
        return f"{self.kind}:{self.dtype}:{sliced.size_class(infos, self._slices())}"

    def cost(self, infos: Mapping[str, ArrayInfo]) -> Cost:
        """That of projecting and sorting for every step, and of the covariances."""
        d = infos["x"].shape[1]
        eigen = min(d, MAX_EIGEN + 1)
        covariances = (sliced.n_points(infos) * eigen**2 + 30 * eigen**3) if d <= MAX_EIGEN else 0
        return Cost(
            sliced.slicing_flops(infos, self._slices(), 2 * d) + covariances,
            sliced.bytes_in(infos),
            8 * d,
            sliced.slicing_bytes(infos, self.n_projections, d) + 8 * (2 * sliced.n_points(infos) * d + 12 * eigen**2),
        )

    def _slices(self) -> int:
        """Directions whose costs are computed, at most; those of an ascent cost twice as much."""
        return self.n_projections + 2 * (self.n_starts + MORE_STARTS + 1) * self.n_steps + SEARCHED
