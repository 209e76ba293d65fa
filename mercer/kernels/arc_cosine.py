"""The arc-cosine kernel functions of order 0, 1 and 2."""

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from mercer.kernels.expression import Family
from mercer.kernels.parameters import Whole


class ArcCosine(Family):
    """k(x, y) = (||x|| ||y||)^n J_n(theta) / pi, theta the angle between x and y, n the order.

    J_0 = pi - theta, J_1 = sin theta + (pi - theta) cos theta,
    J_2 = 3 sin theta cos theta + (pi - theta)(1 + 2 cos^2 theta). A zero vector is taken at a right angle to all.
    """

    formula: ClassVar[str] = (
        "(||x|| ||y||)^order J(theta) / pi; J_0 = pi - theta, J_1 = sin theta + (pi - theta) cos theta, "
        "J_2 = 3 sin theta cos theta + (pi - theta)(1 + 2 cos^2 theta)"
    )
    source: ClassVar[str] = "Cho and Saul, Kernel Methods for Deep Learning (2009), eqs. 3-6"
    examples = ({"order": 0}, {"order": 1}, {"order": 2})

    family: Literal["arc_cosine"] = "arc_cosine"
    order: Annotated[Whole, Field(ge=0, le=2)] = 1
