"""The Laplacian kernel function of the l1 distance (scikit-learn's laplacian_kernel)."""

from typing import ClassVar, Literal, Self

from pydantic import model_validator

from mercer.kernels.expression import Family
from mercer.kernels.parameters import PerDimension, Positive


class LaplacianL1(Family):
    """k(x, y) = exp(-sum_c |x_c - y_c| / lengthscale_c); or exp(-gamma ||x - y||_1)."""

    formula: ClassVar[str] = "exp(-sum_c |x_c - y_c| / lengthscale_c), or exp(-gamma ||x - y||_1)"
    source: ClassVar[str] = "Rahimi and Recht, Random Features for Large-Scale Kernel Machines (2007), figure 1"
    examples = ({"lengthscale": 2.0}, {"lengthscale": [1.0, 2.0, 0.5]}, {"gamma": 0.7})
    per_dimension = ("lengthscale",)

    family: Literal["laplacian_l1"] = "laplacian_l1"
    lengthscale: PerDimension | None = None
    """In the units of x; 1 when neither it nor gamma is given."""
    gamma: Positive | None = None
    """In 1 / (units of x), as in scikit-learn: gamma = 1 / lengthscale."""

    @model_validator(mode="after")
    def _one_bandwidth(self) -> Self:
        if self.lengthscale is not None and self.gamma is not None:
            raise ValueError("expected one bandwidth, got both lengthscale and gamma")
        return self
