"""The constant kernel function."""

from typing import Any, ClassVar, Literal

from mercer.kernels.expression import Family
from mercer.kernels.parameters import Positive


class Constant(Family):
    """k(x, y) = value."""

    formula: ClassVar[str] = "value"
    source: ClassVar[str] = "Rasmussen and Williams, Gaussian Processes for Machine Learning (2006), table 4.1"
    examples = ({"value": 2.0},)

    family: Literal["constant"] = "constant"
    value: Positive = 1.0

    def __init__(self, value: float = 1.0, **fields: Any) -> None:
        super().__init__(**{"value": value, **fields})
