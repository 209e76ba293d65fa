"""The polynomial kernel function."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from mercer.kernels.expression import Family
from mercer.kernels.parameters import NonNegative, Positive, Whole


class Polynomial(Family):
    """k(x, y) = (gamma x . y + offset)^degree."""

    formula: ClassVar[str] = "(gamma x . y + offset)^degree"
    source: ClassVar[str] = "Rasmussen and Williams, Gaussian Processes for Machine Learning (2006), 4.2.2"
    examples = ({"gamma": 0.5, "offset": 1.5, "degree": 3},)

    family: Literal["polynomial"] = "polynomial"
    degree: Annotated[Whole, Field(ge=1, le=64)] = 3
    gamma: Positive = 1.0
    """In 1 / (units of x)^2."""
    offset: NonNegative = 1.0
    """scikit-learn's coef0."""
