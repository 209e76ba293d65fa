"""The additive chi-squared kernel function of histograms, conditionally positive definite."""

from typing import ClassVar, Literal

from mercer.kernels.expression import Family


class AdditiveChi2(Family):
    """k(x, y) = -sum_c (x_c - y_c)^2 / (x_c + y_c), 0/0 = 0, for x, y >= 0.

    Only conditionally positive definite: its values are <= 0.
    """

    formula: ClassVar[str] = "-sum_c (x_c - y_c)^2 / (x_c + y_c), 0/0 = 0"
    source: ClassVar[str] = (
        "Zhang, Marszalek, Lazebnik and Schmid, Local Features and Kernels for Classification (2007), eq. 1"
    )
    non_negative_inputs = True

    family: Literal["additive_chi2"] = "additive_chi2"

    @property
    def positive_definite(self) -> bool:
        """Only conditionally."""
        return False
