"""The Matern kernel function of any smoothness."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from mercer.kernels.expression import Family
from mercer.kernels.parameters import PerDimension


class Matern(Family):
    """k(x, y) = 2^(1-nu) / Gamma(nu) a^nu K_nu(a), a = sqrt(2 nu) s, s^2 = sum_c ((x_c - y_c) / lengthscale_c)^2.

    Half-integer nu has a closed form: (1 + a) exp(-a) for 3/2, (1 + a + a^2 / 3) exp(-a) for 5/2.
    """

    formula: ClassVar[str] = (
        "2^(1-nu) / Gamma(nu) a^nu K_nu(a), a = sqrt(2 nu) s, s^2 = sum_c ((x_c - y_c) / lengthscale_c)^2"
    )
    source: ClassVar[str] = "Rasmussen and Williams, Gaussian Processes for Machine Learning (2006), eq. 4.14"
    examples = (
        {"nu": 2.5, "lengthscale": 0.8},
        {"nu": 1.5, "lengthscale": [1.0, 2.0, 0.5]},
        {"nu": 3.7, "lengthscale": 0.8},
        {"nu": 0.5, "lengthscale": 0.8},
    )
    per_dimension = ("lengthscale",)

    family: Literal["matern"] = "matern"
    nu: Annotated[float, Field(ge=0.05, le=500)] = 2.5
    """Smoothness; the function is ceil(nu) - 1 times differentiable."""
    lengthscale: PerDimension = 1.0
    """In the units of x."""
