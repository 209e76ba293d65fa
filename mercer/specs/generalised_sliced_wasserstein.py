"""The generalised sliced Wasserstein distance."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import comb
from typing import Annotated, Any, ClassVar, Literal, Self

import numpy as np
from pydantic import Field, model_validator

from mercer.arrays import ArrayInfo, DType
from mercer.errors import FieldError
from mercer.estimates import head
from mercer.points import ArrayReference, PointsField
from mercer.specs import sliced
from mercer.specs.base import Cost, Spec
from mercer.specs.measures import WeightsField, refuse

MAX_MONOMIALS = 5_000
"""Of a polynomial: as many numbers are kept for each point and each direction."""
LINES, BYTES_PER_LINE = 1_024, 4_096
"""Of the circular function: directions that are computed together, and what each takes beside its values."""
PARAMETERS = {"circular": "radius", "polynomial": "degree"}
"""What each defining function needs, and no other takes."""


@dataclass(frozen=True)
class GeneralisedEstimate:
    """An estimate of GSW_p between two measures, and how far it can be trusted."""

    distance: float
    """GSW_p."""
    power: float
    """GSW_p^p, which the mean over directions estimates without bias."""
    distance_error: float | None
    """Standard error of `distance`, by the delta method; None where the estimate is within its noise."""
    power_error: float | None
    """Standard error of `power`; 0 where all directions were taken, None for a single one of many."""
    interval: tuple[float, float] | None
    """95 % confidence interval of GSW_p."""
    power_interval: tuple[float, float] | None
    """The same of GSW_p^p."""
    n_parameters: int
    """Coordinates of a direction: monomials of a polynomial, else the points' dimensions."""
    costs: np.ndarray[Any, Any]
    """(L,): W_p^p of the values of the defining function for each direction."""

    def __str__(self) -> str:
        lines = head("GSW_p", self.distance, self.distance_error, self.interval)
        lines.append(f"GSW_p^p = {self.power:.8g}; {len(self.costs)} directions of {self.n_parameters} parameters")
        return "\n".join(lines)


class GeneralisedSlicedWasserstein(Spec):
    """Generalised sliced Wasserstein distance: slices by curved surfaces in the place of hyperplanes.

    GSW_p^p = E W_p^p(g(., theta)#x, g(., theta)#y), theta uniform on a unit sphere; x of shape (n, d), y of (m, d).

    linear:     g(x, theta) = theta . x, theta in R^d: SW_p itself.
    circular:   g(x, theta) = |x - radius theta|, theta in R^d: distances from points on a sphere about the origin.
    polynomial: g(x, theta) = sum_a theta_a x^a over all monomials x^a of one odd degree, 3 or 5, in the lexicographic
                order of their factors; theta in R^M, M = (d + degree - 1 choose degree) <= 5,000.

    All three give distances between measures. The circular and the polynomial function depend on where the origin is
    and on the unit of the points. Estimated by independent directions, with the standard error of their mean; the
    result is W_p^p for each of them, shape (L,).

    Kolouri et al., Generalized Sliced Wasserstein Distances (2019), section 3.
    """

    kind: Literal["generalised_sliced_wasserstein"] = "generalised_sliced_wasserstein"
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
    defining_function: Literal["linear", "circular", "polynomial"]
    """What maps points to a line."""
    radius: Annotated[float, Field(gt=0)] | None = None
    """Of the circular function, which needs it: about as large as the points are far from the origin."""
    degree: Literal[3, 5] | None = None
    """Of the polynomial, which needs it."""
    p: sliced.Order = 2.0
    """Order of the distance, at least 1."""
    n_projections: sliced.Projections = 100
    """Directions; where there are no more than two, those are taken."""
    seed: sliced.Seed = 0
    """Of the directions."""
    dtype: DType = "float64"
    """Of projecting and sorting; sums are in float64."""

    examples: ClassVar[tuple[dict[str, Any], ...]] = (
        {
            "kind": "generalised_sliced_wasserstein",
            "x": [[0.0, 0.1], [0.3, -0.2], [-0.1, 0.4]],
            "y": [[1.0, 0.2], [1.3, -0.1]],
            "defining_function": "circular",
            "radius": 1.0,
            "n_projections": 20,
        },
        {
            "kind": "generalised_sliced_wasserstein",
            "x": [[0.0, 0.1, 0.2], [0.3, -0.2, 0.5]],
            "y": [[1.0, 0.2, 0.1], [1.3, -0.1, 0.0]],
            "x_weights": [0.25, 0.75],
            "defining_function": "polynomial",
            "degree": 3,
            "p": 1.0,
            "n_projections": 10,
            "dtype": "float32",
        },
        {
            "kind": "generalised_sliced_wasserstein",
            "x": [[0.0], [1.0]],
            "y": [[2.0], [4.0], [3.0]],
            "defining_function": "linear",
        },
    )

    @model_validator(mode="after")
    def _parameters_fit(self) -> Self:
        for function, parameter in PARAMETERS.items():
            given = getattr(self, parameter) is not None
            if given != (self.defining_function == function):
                got = f"one with {self.defining_function}" if given else "none"
                raise ValueError(f"expected a {parameter} with {function} and nothing else, got {got}")
        return self

    @classmethod
    def answer(cls, array: np.ndarray[Any, Any], facts: Mapping[str, Any]) -> GeneralisedEstimate:
        """The estimate with its error."""
        return GeneralisedEstimate(**sliced.tupled(facts), costs=array)

    def arrays(self) -> dict[str, ArrayReference]:
        """Both measures."""
        return sliced.arrays_of(self)

    def check(self, infos: Mapping[str, ArrayInfo]) -> None:
        """The same d for x and y, weights for all points, and a polynomial that is not too long.

        Raises:
            InvalidSpec: naming each field at fault.
        """
        sliced.check_measures(infos)
        refuse(self._too_long(infos["x"].shape[1]), "The polynomial is too long.")

    def _too_long(self, d: int) -> Iterator[FieldError]:
        if (got := self.n_parameters(d)) > MAX_MONOMIALS and self.degree is not None:
            detail = f"expected at most {MAX_MONOMIALS} monomials, got {got} of degree {self.degree} in {d} columns"
            yield FieldError("/degree", f"{detail}; take fewer columns" + (", or degree 3" if self.degree > 3 else ""))

    def n_parameters(self, d: int) -> int:
        """Coordinates of a direction, for points of d coordinates."""
        return d if self.degree is None else comb(d + self.degree - 1, self.degree)

    def batch_key(self, infos: Mapping[str, ArrayInfo]) -> str:
        """Kind, dtype, and whether it is small."""
        return f"{self.kind}:{self.dtype}:{sliced.size_class(infos, self.n_projections)}"

    def cost(self, infos: Mapping[str, ArrayInfo]) -> Cost:
        """That of projecting points of as many coordinates as a direction has, and sorting."""
        parameters = self.n_parameters(infos["x"].shape[1])
        lines = 0 if self.radius is None else BYTES_PER_LINE * min(self.n_projections, LINES)
        return Cost(
            sliced.slicing_flops(infos, self.n_projections, parameters),
            sliced.bytes_in(infos),
            8 * self.n_projections,
            sliced.slicing_bytes(infos, self.n_projections, parameters) + lines,
        )
