"""White noise: a kernel function of the points' identity."""

from typing import Any, ClassVar, Literal

from mercer.kernels.expression import Family
from mercer.kernels.parameters import Positive


class White(Family):
    """k(x_i, x_j) = variance where i = j, else 0; 0 between two different sets of points, as in scikit-learn."""

    formula: ClassVar[str] = "variance [x and y are the same point]"
    source: ClassVar[str] = "Rasmussen and Williams, Gaussian Processes for Machine Learning (2006), eq. 2.20"
    examples = ({"variance": 0.01},)

    family: Literal["white"] = "white"
    variance: Positive = 1.0

    def __init__(self, variance: float = 1.0, **fields: Any) -> None:
        super().__init__(**{"variance": variance, **fields})
