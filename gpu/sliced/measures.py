"""Discrete measures, and pairs of them made ready for slicing: centred and scaled, so that no digit is lost."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from gpu.leaves import Floats
from mercer.errors import InvalidSpec


class Measure(NamedTuple):
    """Points x_i that carry weights w_i."""

    points: Floats
    """(n, d) float64, C-contiguous."""
    weights: Floats | None = None
    """(n,) float64, >= 0 with sum 1; None for 1 / n each."""

    @property
    def n(self) -> int:
        """Atoms."""
        return len(self.points)

    @property
    def d(self) -> int:
        """Dimensions."""
        return int(self.points.shape[1])

    def mean(self) -> Floats:
        """The sum of w_i x_i, shape (d,)."""
        coarse, fine = _mean(self)
        return coarse + fine

    def covariance(self) -> Floats:
        """The sum of w_i (x_i - m)(x_i - m)^T, m the mean, shape (d, d)."""
        coarse, fine = _mean(self)
        centred = self.points - coarse - fine
        if self.weights is None:
            return centred.T @ centred / self.n
        return centred.T @ (self.weights[:, None] * centred)


class Pair(NamedTuple):
    """Two measures made ready for slicing; u = (x - x_centre) / scale and v = (y - y_centre) / scale.

    W_p^p(theta#x, theta#y) = scale^p W_p^p(theta#u, theta#v) + (theta . delta)^2, for p = 2 because both u and v have
    mean 0 (Peyre and Cuturi, Computational Optimal Transport (2019), remark 2.19); otherwise delta = 0.
    """

    x: Measure
    """Without the atoms of weight 0."""
    y: Measure
    p: float
    dtype: np.dtype[Any]
    """Of projecting and sorting; sums are in float64."""
    x_centre: Floats
    """(2, d): the sum of a large part and a small one, so that points far from the origin keep their digits."""
    y_centre: Floats
    delta: Floats
    """(d,): x's mean less y's for p = 2, else 0."""
    scale: float
    """A power of two; |u_i|, |v_j| <= 1/2, so that no power of a distance overflows."""

    def u(self) -> Floats:
        """(n, d) of `dtype`."""
        return prepared(self.x.points, self.x_centre, self.scale, self.dtype)

    def v(self) -> Floats:
        """(m, d) of `dtype`."""
        return prepared(self.y.points, self.y_centre, self.scale, self.dtype)


def prepared(points: Floats, centre: Floats, scale: float, dtype: np.dtype[Any]) -> Floats:
    """(points - centre) / scale, rounded once at the end."""
    moved = points - centre[0]
    moved -= centre[1]
    moved /= scale
    return moved.astype(dtype, copy=False)


def pair(x: Measure, y: Measure, p: float, dtype: np.dtype[Any]) -> Pair:
    """Drop the atoms of weight 0, centre and scale.

    Raises:
        InvalidSpec: the p-th power of the points' distances is beyond float64.
    """
    x, y = _positive(x), _positive(y)
    x_centre, y_centre = _mean(x), _mean(y)
    delta = x_centre - y_centre
    if p != 2:
        x_centre = y_centre = np.stack([x_centre[0] / 2 + y_centre[0] / 2, np.zeros(x.d)])
        delta = np.zeros_like(delta)
    largest = max(_largest(x.points, x_centre), _largest(y.points, y_centre))
    scale = 2.0 ** (math.frexp(2 * math.sqrt(x.d) * largest)[1]) if largest else 1.0
    _check_range(scale, p)
    return Pair(x, y, p, np.dtype(dtype), x_centre, y_centre, delta[0] + delta[1], scale)


def _positive(measure: Measure) -> Measure:
    """Without the atoms of weight 0, the rest of sum 1; without weights where all are equal."""
    weights = measure.weights
    if weights is None:
        return measure
    kept = weights > 0
    points = measure.points
    if not kept.all():
        points, weights = points[kept], weights[kept]
    if (weights == weights[0]).all():
        return Measure(points)
    return Measure(points, weights / math.fsum(weights))


def _mean(measure: Measure) -> Floats:
    """(2, d): the mean as a sum of two numbers, of which the second is the mean's rounding error."""
    coarse = np.average(measure.points, axis=0, weights=measure.weights)
    return np.stack([coarse, np.average(measure.points - coarse, axis=0, weights=measure.weights)])


def _largest(points: Floats, centre: Floats) -> float:
    """The largest |coordinate| from a centre."""
    return float(np.abs(points - centre[0] - centre[1]).max())


def _check_range(scale: float, p: float) -> None:
    if p * math.log2(scale) >= 1023:
        raise InvalidSpec(
            f"The points are too far apart for p = {p:g}: expected powers of their distances within float64's range."
        )
