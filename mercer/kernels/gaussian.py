"""The Gaussian kernel function, also called RBF or squared exponential."""

from typing import ClassVar, Literal, Self

from pydantic import model_validator

from mercer.kernels.expression import Family
from mercer.kernels.parameters import PerDimension, Positive


class Gaussian(Family):
    """k(x, y) = exp(-s^2 / 2), s^2 = sum_c ((x_c - y_c) / lengthscale_c)^2; or exp(-gamma ||x - y||^2)."""

    formula: ClassVar[str] = "exp(-sum_c ((x_c - y_c) / lengthscale_c)^2 / 2), or exp(-gamma ||x - y||_2^2)"
    source: ClassVar[str] = "Rasmussen and Williams, Gaussian Processes for Machine Learning (2006), eq. 4.9"
    examples = ({"lengthscale": 2.0}, {"lengthscale": [1.0, 2.0, 0.5]}, {"gamma": 0.7})
    per_dimension = ("lengthscale",)

    family: Literal["gaussian"] = "gaussian"
    lengthscale: PerDimension | None = None
    """In the units of x; 1 when neither it nor gamma is given."""
    gamma: Positive | None = None
    """In 1 / (units of x)^2, as in scikit-learn: gamma = 1 / (2 lengthscale^2)."""

    @model_validator(mode="after")
    def _one_bandwidth(self) -> Self:
        if self.lengthscale is not None and self.gamma is not None:
            raise ValueError("expected one bandwidth, got both lengthscale and gamma")
        return self
