"""The Wasserstein distance itself, of clouds that are small enough."""

from __future__ import annotations

from scipy.optimize import linear_sum_assignment
from scipy.spatial.distance import cdist

from gpu.leaves import Floats


def squared_w2(x: Floats, y: Floats) -> float:
    """W_2^2 = min over permutations s of 1/n sum_i |x_i - y_s(i)|^2, of x and y of shape (n, d)."""
    squares = cdist(x, y, "sqeuclidean")
    return float(squares[linear_sum_assignment(squares)].mean())
