"""The exponential chi-squared kernel function of histograms."""

from typing import ClassVar, Literal

from mercer.kernels.expression import Family
from mercer.kernels.parameters import Positive


class Chi2(Family):
    """k(x, y) = exp(-gamma sum_c (x_c - y_c)^2 / (x_c + y_c)), 0/0 = 0, for x, y >= 0."""

    formula: ClassVar[str] = "exp(-gamma sum_c (x_c - y_c)^2 / (x_c + y_c)), 0/0 = 0"
    source: ClassVar[str] = (
        "Zhang, Marszalek, Lazebnik and Schmid, Local Features and Kernels for Classification (2007), eq. 2"
    )
    examples = ({"gamma": 0.5},)
    non_negative_inputs = True

    family: Literal["chi2"] = "chi2"
    gamma: Positive = 1.0
    """In 1 / (units of x)."""
