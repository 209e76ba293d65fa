"""The sigmoid kernel function, which is not positive definite."""

from typing import ClassVar, Literal

from mercer.kernels.expression import Family
from mercer.kernels.parameters import Positive


class Sigmoid(Family):
    """k(x, y) = tanh(gamma x . y + offset). Not positive definite: do not factor its Gram matrix by Cholesky."""

    formula: ClassVar[str] = "tanh(gamma x . y + offset)"
    source: ClassVar[str] = "Lin and Lin, A Study on Sigmoid Kernels for SVM (2003), eq. 1"
    examples = ({"gamma": 0.5, "offset": 0.2},)

    family: Literal["sigmoid"] = "sigmoid"
    gamma: Positive = 1.0
    """In 1 / (units of x)^2."""
    offset: float = 0.0
    """scikit-learn's coef0."""

    @property
    def positive_definite(self) -> bool:
        """Never promised."""
        return False
