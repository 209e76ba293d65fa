"""The periodic kernel function, a product over dimensions."""

from typing import ClassVar, Literal

from mercer.kernels.expression import Family
from mercer.kernels.parameters import PerDimension


class Periodic(Family):
    """k(x, y) = exp(-2 sum_c sin^2(pi (x_c - y_c) / period_c) / lengthscale_c^2).

    The product of one-dimensional functions, so positive definite in any dimension. scikit-learn's ExpSineSquared
    takes the sine of the norm instead and agrees only for d = 1; GPyTorch does not square the lengthscale.
    """

    formula: ClassVar[str] = "exp(-2 sum_c sin^2(pi (x_c - y_c) / period_c) / lengthscale_c^2)"
    source: ClassVar[str] = (
        "MacKay, Introduction to Gaussian Processes (1998), eq. 47; Rasmussen and Williams (2006), eq. 4.31"
    )
    examples = (
        {"lengthscale": 0.8, "period": 1.7},
        {"lengthscale": [1.0, 2.0, 0.5], "period": [1.0, 3.0, 2.0]},
    )
    per_dimension = ("lengthscale", "period")

    family: Literal["periodic"] = "periodic"
    lengthscale: PerDimension = 1.0
    """Dimensionless: it scales the sine."""
    period: PerDimension = 1.0
    """In the units of x."""
