"""The rational quadratic kernel function: a scale mixture of Gaussians."""

from typing import ClassVar, Literal

from mercer.kernels.expression import Family
from mercer.kernels.parameters import PerDimension, Positive


class RationalQuadratic(Family):
    """k(x, y) = (1 + s^2 / (2 alpha))^(-alpha), s^2 = sum_c ((x_c - y_c) / lengthscale_c)^2."""

    formula: ClassVar[str] = "(1 + s^2 / (2 alpha))^(-alpha), s^2 = sum_c ((x_c - y_c) / lengthscale_c)^2"
    source: ClassVar[str] = "Rasmussen and Williams, Gaussian Processes for Machine Learning (2006), eq. 4.19"
    examples = ({"alpha": 1.3, "lengthscale": 0.8}, {"alpha": 2.0, "lengthscale": [1.0, 2.0, 0.5]})
    per_dimension = ("lengthscale",)

    family: Literal["rational_quadratic"] = "rational_quadratic"
    alpha: Positive = 1.0
    """Mixture shape; the Gaussian is its limit at infinity."""
    lengthscale: PerDimension = 1.0
    """In the units of x."""
