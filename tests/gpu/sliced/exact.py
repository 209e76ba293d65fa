"""The cost of a slice in rational arithmetic: projected, merged and summed without rounding."""

from fractions import Fraction

import numpy as np


def fractions(values):
    return [Fraction(float(value)) for value in values]


def projections(points, direction):
    theta = fractions(direction)
    return [sum(t * c for t, c in zip(theta, fractions(point), strict=True)) for point in points]


def atoms(points, weights, direction):
    """Sorted (position, mass), the masses of sum 1."""
    n = len(points)
    masses = [Fraction(1, n)] * n if weights is None else fractions(weights)
    total = sum(masses)
    return sorted(zip(projections(points, direction), [mass / total for mass in masses], strict=True))


def cost(x, y, direction, p=2, x_weights=None, y_weights=None):
    """W_p^p as a float; the powers are exact where p is a whole number, else of float64."""
    xs, ys = atoms(x, x_weights, direction), atoms(y, y_weights, direction)
    total, i, j = Fraction(0), 0, 0
    left_x, left_y = xs[0][1], ys[0][1]
    while i < len(xs) and j < len(ys):
        moved = min(left_x, left_y)
        distance = abs(xs[i][0] - ys[j][0])
        total += moved * (distance**p if p == int(p) else Fraction(float(distance) ** p))
        left_x, left_y = left_x - moved, left_y - moved
        if left_x == 0:
            i += 1
            left_x = xs[i][1] if i < len(xs) else 0
        if left_y == 0:
            j += 1
            left_y = ys[j][1] if j < len(ys) else 0
    return float(total)


def costs(x, y, directions, p=2, x_weights=None, y_weights=None):
    return np.array([cost(x, y, direction, p, x_weights, y_weights) for direction in directions])
