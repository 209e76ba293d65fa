"""Defining functions of generalised slices, g(x, theta), and what makes them fast and exact."""

from __future__ import annotations

import math
from itertools import combinations_with_replacement

import numpy as np
from scipy.spatial.distance import cdist

from gpu.leaves import Floats


def circular(points: Floats, thetas: Floats, radius: float) -> Floats:
    """(L, n): |x - r theta| - r, which is as good on a line as |x - r theta|.

    By (|x|^2 - 2 r x . theta) / (|x - r theta| + r): the difference itself loses all digits of points that are small
    against r. Distances are summed directly, because |x|^2 - 2 r x . theta + r^2 loses those of points near r theta.
    """
    squares = np.einsum("ij,ij->i", points, points)
    return (squares - 2 * radius * (thetas @ points.T)) / (cdist(radius * thetas, points) + radius)


def monomials(points: Floats, degree: int) -> Floats:
    """(n, M): all products of so many coordinates, in the lexicographic order of their factors."""
    factors = np.array(list(combinations_with_replacement(range(points.shape[1]), degree)))
    out = points[:, factors[:, 0]]
    for factor in range(1, degree):
        out *= points[:, factors[:, factor]]
    return out


def unit_of(*arrays: Floats) -> float:
    """A power of two no less than the size of any number: of those divided by it no product overflows."""
    largest = max(float(np.abs(array).max()) for array in arrays)
    return math.ldexp(1.0, math.frexp(largest)[1]) if largest else 1.0
