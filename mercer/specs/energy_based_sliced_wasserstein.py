"""The energy-based sliced Wasserstein distance."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar, Literal, Self

import numpy as np
from pydantic import Field, model_validator

from mercer.arrays import ArrayInfo, DType
from mercer.estimates import head
from mercer.points import ArrayReference, PointsField
from mercer.specs import sliced
from mercer.specs.base import Cost, Spec
from mercer.specs.measures import WeightsField


@dataclass(frozen=True)
class EnergyBasedEstimate:
    """An estimate of EBSW_p, which gives directions more weight the further apart they see the measures."""

    distance: float
    """EBSW_p."""
    power: float
    """EBSW_p^p."""
    distance_error: float | None
    """Standard error of `distance`, by the delta method; None where the estimate is within its noise."""
    power_error: float | None
    """Standard error of `power`, by the delta method; 0 on a line, None for a single direction of many."""
    interval: tuple[float, float] | None
    """95 % confidence interval of EBSW_p."""
    power_interval: tuple[float, float] | None
    """The same of EBSW_p^p."""
    bias: float
    """Of `power`, to first order: below 0 by about as much as it is too small."""
    n_effective: float
    """Directions of equal weight that would be as good: few where a few carry all of it."""
    costs: np.ndarray[Any, Any]
    """(L,): W_p^p of the projections on each direction."""

    def __str__(self) -> str:
        lines = head("EBSW_p", self.distance, self.distance_error, self.interval)
        lines.append(f"EBSW_p^p = {self.power:.8g}, biased by about {self.bias:.2g}")
        lines.append(f"{len(self.costs)} directions, worth {self.n_effective:.3g} of equal weight")
        return "\n".join(lines)


class EnergyBasedSlicedWasserstein(Spec):
    """Energy-based sliced Wasserstein distance, which dwells on the directions that tell the measures apart.

    EBSW_p^p = E_{theta ~ s} c(theta), c(theta) = W_p^p(theta#x, theta#y), where the density of s on the sphere is
    proportional to f(c(theta)) for an energy f: exp(c), c (identity), or c^exponent (power). Estimated by importance
    sampling from the uniform distribution: sum_l f(c_l) c_l / sum_l f(c_l), theta_1, ..., theta_L uniform.

    EBSW_p >= SW_p, as f grows with c. The estimate is a ratio and so biased, by a multiple of 1 / L: downwards, as one
    direction alone gives SW_p^p on average. The energy exp depends on the unit of the points.
    x has shape (n, d), y (m, d); the result is c_1, ..., c_L, shape (L,).

    Nguyen and Ho, Energy-Based Sliced Wasserstein Distance (2023), section 3.
    """

    kind: Literal["energy_based_sliced_wasserstein"] = "energy_based_sliced_wasserstein"
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
    energy: Literal["exp", "identity", "power"] = "exp"
    """How a direction's density grows with its cost."""
    exponent: Annotated[float, Field(gt=0, le=100)] | None = None
    """Of the energy power, which needs it, and of no other."""
    p: sliced.Order = 2.0
    """Order of the distance, at least 1."""
    n_projections: sliced.Projections = 1_000
    """Directions; in one dimension a single one is enough and is taken."""
    seed: sliced.Seed = 0
    """Of the directions."""
    dtype: DType = "float64"
    """Of projecting and sorting; sums are in float64."""

    examples: ClassVar[tuple[dict[str, Any], ...]] = (
        {
            "kind": "energy_based_sliced_wasserstein",
            "x": [[0.0, 0.1], [0.3, -0.2], [-0.1, 0.4]],
            "y": [[1.0, 0.2], [1.3, -0.1]],
            "n_projections": 20,
        },
        {
            "kind": "energy_based_sliced_wasserstein",
            "x": [[0.0, 0.1, 0.2], [0.3, -0.2, 0.5]],
            "y": [[1.0, 0.2, 0.1], [1.3, -0.1, 0.0]],
            "x_weights": [0.25, 0.75],
            "energy": "power",
            "exponent": 2.0,
            "p": 1.0,
            "n_projections": 10,
            "dtype": "float32",
        },
    )

    @model_validator(mode="after")
    def _exponent_fits(self) -> Self:
        if (self.energy == "power") != (self.exponent is not None):
            got = "none" if self.exponent is None else f"one with the energy {self.energy}"
            raise ValueError(f"expected an exponent with the energy power and no other, got {got}")
        return self

    @classmethod
    def answer(cls, array: np.ndarray[Any, Any], facts: Mapping[str, Any]) -> EnergyBasedEstimate:
        """The estimate with its error."""
        return EnergyBasedEstimate(**sliced.tupled(facts), costs=array)

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
        return f"{self.kind}:{self.dtype}:{sliced.size_class(infos, self.n_projections)}"

    def cost(self, infos: Mapping[str, ArrayInfo]) -> Cost:
        """That of projecting and sorting."""
        d = infos["x"].shape[1]
        return Cost(
            sliced.slicing_flops(infos, self.n_projections, d),
            sliced.bytes_in(infos),
            8 * self.n_projections,
            sliced.slicing_bytes(infos, self.n_projections, d),
        )
