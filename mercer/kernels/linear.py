"""The linear kernel function."""

from typing import ClassVar, Literal

from mercer.kernels.expression import Family
from mercer.kernels.parameters import NonNegative


class Linear(Family):
    """k(x, y) = x . y + offset."""

    formula: ClassVar[str] = "x . y + offset"
    source: ClassVar[str] = "Rasmussen and Williams, Gaussian Processes for Machine Learning (2006), 4.2.2"
    examples = ({}, {"offset": 0.25})

    family: Literal["linear"] = "linear"
    offset: NonNegative = 0.0
    """In the units of x squared; scikit-learn's DotProduct has sigma_0^2."""
