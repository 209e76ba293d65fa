"""The exponential kernel function of the Euclidean distance (Matern with nu = 1/2)."""

from typing import ClassVar, Literal

from mercer.kernels.expression import Family
from mercer.kernels.parameters import PerDimension


class Exponential(Family):
    """k(x, y) = exp(-s), s^2 = sum_c ((x_c - y_c) / lengthscale_c)^2."""

    formula: ClassVar[str] = "exp(-s), s^2 = sum_c ((x_c - y_c) / lengthscale_c)^2"
    source: ClassVar[str] = "Rasmussen and Williams, Gaussian Processes for Machine Learning (2006), eq. 4.18"
    examples = ({"lengthscale": 0.8}, {"lengthscale": [1.0, 2.0, 0.5]})
    per_dimension = ("lengthscale",)

    family: Literal["exponential"] = "exponential"
    lengthscale: PerDimension = 1.0
    """In the units of x."""
