"""What is known of a slice before it is sorted: the Gaussian controls and their means over the sphere.

delta = m_x - m_y; A, B: the covariances of x and y; s_x^2 = theta^T A theta, s_y^2 = theta^T B theta. For p = 2 and any
measures (theta . delta)^2 + (s_x - s_y)^2 <= f(theta) <= (theta . delta)^2 + s_x^2 + s_y^2, by Cauchy and Schwarz, and
because the covariance of an optimal coupling on the line is not negative.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from gpu.leaves import Floats
from gpu.sliced.directions import unit
from gpu.sliced.estimators import least_squares
from gpu.sliced.measures import Measure, Pair

CHUNK = 4_096
"""Directions whose quadratic forms are computed at once."""
PER_SLICE, FEWEST = 8, 512
"""Directions, none of which is sorted for, that a Gaussian control's mean takes for each slice, and at least."""


class Forms(NamedTuple):
    """What is known of the slices on some directions, (L,) each."""

    low: Floats
    """(theta . delta)^2"""
    gaussian: Floats
    """(theta . delta)^2 + (s_x - s_y)^2; where the covariances are not looked at, low."""
    high: Floats
    """(theta . delta)^2 + s_x^2 + s_y^2, or infinity."""


class Moments(NamedTuple):
    """The means' difference and the covariances of two measures."""

    delta: Floats
    """(d,)"""
    a: Floats
    """(d, d)"""
    b: Floats
    """(d, d)"""

    def deviations(self, rows: Floats) -> tuple[Floats, Floats]:
        """s_x and s_y, (L,) each."""
        return np.sqrt(form(self.a, rows)), np.sqrt(form(self.b, rows))

    def forms(self, rows: Floats) -> Forms:
        """All of them."""
        lowest = low(self.delta, rows)
        s_x, s_y = self.deviations(rows)
        return Forms(lowest, lowest + (s_x - s_y) ** 2, lowest + s_x**2 + s_y**2)


def low(delta: Floats, rows: Floats) -> Floats:
    """(theta . delta)^2, (L,)."""
    return (rows @ delta) ** 2


def between_means(pair: Pair) -> Floats:
    """delta, (d,)."""
    return pair.delta if pair.p == 2 else pair.x.mean() - pair.y.mean()


def moments(pair: Pair) -> Moments:
    """In the units of the points."""
    return Moments(between_means(pair), pair.x.covariance(), pair.y.covariance())


class Bracket(NamedTuple):
    """What SW_2^2 is certainly between."""

    lower: float
    """|delta|^2 / d"""
    upper: float
    """(|delta|^2 + tr A + tr B) / d"""
    concentrated: float
    """|delta|^2 / d + (sqrt(tr A / d) - sqrt(tr B / d))^2 (Nadjahi et al., 2021): where d is large, about SW_2^2."""


def bracket(pair: Pair) -> Bracket:
    """In O(n d); for p = 2."""
    d, delta = pair.x.d, between_means(pair)
    lower, x, y = float(delta @ delta) / d, total_variance(pair.x) / d, total_variance(pair.y) / d
    return Bracket(lower, lower + x + y, lower + (math.sqrt(x) - math.sqrt(y)) ** 2)


def total_variance(measure: Measure) -> float:
    """The trace of the covariance."""
    centred = measure.points - measure.mean()
    return float(np.average(np.einsum("ij,ij->i", centred, centred), weights=measure.weights))


def form(matrix: Floats, rows: Floats) -> Floats:
    """theta^T M theta >= 0 of a positive semi-definite M, (L,)."""
    out = np.empty(len(rows))
    for start in range(0, len(rows), CHUNK):
        part = rows[start : start + CHUNK]
        out[start : start + CHUNK] = np.einsum("li,li->l", part @ matrix, part)
    return np.maximum(out, 0)


def gaussian_mean(known: Moments, n: int, rng: np.random.Generator) -> tuple[float, float]:
    """E of the Gaussian control over the sphere, and the standard error of the number that is given.

    With u = s_x^2 / (tr A / d) - 1 and v likewise, (s_x - s_y)^2 is regressed on u, v, (u - v)^2 and (u - v)^2 (u + v),
    the terms of its expansion to third order, whose means are closed: for M = A / (tr A / d) - B / (tr B / d), S their
    sum less 2 I, E (theta^T M theta)^2 = 2 tr M^2 / (d (d + 2)) and E (theta^T M theta)^2 theta^T S theta =
    8 tr M^2 S / (d (d + 2) (d + 4)) (Magnus, The moments of products of quadratic forms in normal variables, 1978).
    What the expansion leaves is so small that few directions make the error small beside that of n slices.
    """
    d = len(known.delta)
    alpha, beta = (float(np.trace(matrix)) / d for matrix in (known.a, known.b))
    certain = float(known.delta @ known.delta) / d
    if d == 1 or not (alpha > 0 and beta > 0):
        return certain + (math.sqrt(alpha) - math.sqrt(beta)) ** 2, 0.0
    squares, controls = _expansion(known, alpha, beta, max(FEWEST, PER_SLICE * n), rng)
    one, other = known.a / alpha, known.b / beta
    squared = (one - other) @ (one - other)
    quadratic = 2 * float(np.trace(squared)) / (d * (d + 2))
    cubic = 8 * float(np.sum(squared * (one + other - 2 * np.eye(d)))) / (d * (d + 2) * (d + 4))
    mean = least_squares(squares, controls, np.array([0.0, 0.0, quadratic, cubic]))
    return certain + mean.value, mean.error or 0.0


def _expansion(known: Moments, alpha: float, beta: float, n: int, rng: np.random.Generator) -> tuple[Floats, Floats]:
    """(s_x - s_y)^2, (n,), and the terms of its expansion, (n, 4)."""
    squares, controls = np.empty(n), np.empty((n, 4))
    for start in range(0, n, CHUNK):
        rows = unit(rng.standard_normal((min(CHUNK, n - start), len(known.delta))))
        part = slice(start, start + len(rows))
        s_x, s_y = known.deviations(rows)
        u, v = s_x**2 / alpha - 1, s_y**2 / beta - 1
        squares[part] = (s_x - s_y) ** 2
        controls[part] = np.stack([u, v, (u - v) ** 2, (u - v) ** 2 * (u + v)], axis=1)
    return squares, controls
