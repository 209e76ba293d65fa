"""The cosine similarity as a kernel function."""

from typing import ClassVar, Literal

from mercer.kernels.expression import Family


class Cosine(Family):
    """k(x, y) = x . y / (||x|| ||y||), and 0 where a norm is 0 (scikit-learn's cosine_similarity)."""

    formula: ClassVar[str] = "x . y / (||x||_2 ||y||_2), 0 where a norm is 0"
    source: ClassVar[str] = "Shawe-Taylor and Cristianini, Kernel Methods for Pattern Analysis (2004), 5.1"

    family: Literal["cosine"] = "cosine"
