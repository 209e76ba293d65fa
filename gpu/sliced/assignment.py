"""The Wasserstein distance itself, of clouds that are small enough."""

from __future__ import annotations

import numpy as np
from scipy.optimize import linear_sum_assignment
from scipy.spatial.distance import cdist

from gpu.leaves import Floats


def squared_w2(x: Floats, y: Floats) -> float:
    """W_2^2 = min over permutations s of 1/n sum_i |x_i - y_s(i)|^2, of x and y of shape (n, d).

    The best permutation is that of the centred clouds, which is found sooner and loses no digits.
    """
    delta = x.mean(axis=0) - y.mean(axis=0)
    squares = cdist(x - x.mean(axis=0), y - y.mean(axis=0), "sqeuclidean")
    return float(delta @ delta + np.mean(squares[linear_sum_assignment(squares)]))
