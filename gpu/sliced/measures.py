"""Discrete measures, and pairs of them made ready for slicing: centred and scaled, so that no digit is lost."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

from gpu.cpu import centring
from gpu.leaves import Floats
from mercer.errors import InvalidSpec

MAX_EXPONENT = 1023
"""Of float64."""


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

    def masses(self) -> Floats:
        """(n,) of sum 1."""
        return np.full(self.n, 1 / self.n) if self.weights is None else self.weights

    def mean(self) -> Floats:
        """The sum of w_i x_i, shape (d,)."""
        (coarse, fine), _ = centre_of(self)
        return coarse + fine

    def covariance(self) -> Floats:
        """The sum of w_i (x_i - m)(x_i - m)^T, m the mean, shape (d, d)."""
        (coarse, fine), _ = centre_of(self)
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
    """Of projections; on a GPU also of the points and directions they are made of. Costs are summed in float64."""
    x_centre: Floats
    """(2, d): the sum of a large part and a small one, so that points far from the origin keep their digits."""
    y_centre: Floats
    delta: Floats
    """(d,): x's mean less y's for p = 2, else 0."""
    scale: float
    """A power of two; |u_i|, |v_j| <= 1/2, so that no power of a distance overflows."""

    def u(self) -> Floats:
        """(n, d) of `dtype`."""
        return prepared(self.x.points, self.x_centre, self.scale, np.empty(self.x.points.shape, self.dtype))

    def v(self) -> Floats:
        """(m, d) of `dtype`."""
        return prepared(self.y.points, self.y_centre, self.scale, np.empty(self.y.points.shape, self.dtype))


def prepared(points: Floats, centre: Floats, scale: float, out: Floats) -> Floats:
    """(points - centre) / scale, rounded to the dtype of out."""
    centring.prepare(_read_only(points), centre, 1 / scale, out)
    return out


def _read_only(points: Floats) -> Floats:
    """So that the loops are compiled for one type of array, whether it is of memory or of a file."""
    points = points.view()
    points.flags.writeable = False
    return points


def pair(x: Measure, y: Measure, p: float, dtype: np.dtype[Any]) -> Pair:
    """Drop the atoms of weight 0, centre and scale.

    Raises:
        InvalidSpec: the p-th power of the points' distances is beyond float64.
    """
    x, y = without_zeros(x), without_zeros(y)
    (x_centre, x_bound), (y_centre, y_bound) = centre_of(x), centre_of(y)
    difference = x_centre - y_centre
    delta, largest = difference[0] + difference[1], max(x_bound, y_bound)
    if p != 2:
        largest += float(np.abs(delta).max()) / 2
        x_centre = y_centre = x_centre / 2 + y_centre / 2
        delta = np.zeros(x.d)
    scale = scale_of(2 * math.sqrt(x.d) * largest, p)
    scale_of(math.hypot(*delta), p)  # only to refuse it: its square is added to every slice
    return Pair(x, y, p, np.dtype(dtype), x_centre, y_centre, delta, scale)


def without_zeros(measure: Measure) -> Measure:
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


def centre_of(measure: Measure) -> tuple[Floats, float]:
    """(2, d): the mean as a sum of two numbers; and a bound of the |coordinates| from it."""
    out = np.zeros((2, measure.d))
    weights = np.array([1 / measure.n]) if measure.weights is None else measure.weights
    bound = centring.centre(_read_only(measure.points), weights, out)
    return out, bound


def scale_of(diameter: float, p: float) -> float:
    """The power of two that is next above.

    Raises:
        InvalidSpec: its p-th power is beyond float64.
    """
    if not diameter:
        return 1.0
    exponent = math.frexp(diameter)[1]
    if not (math.isfinite(diameter) and p * exponent < MAX_EXPONENT):
        raise InvalidSpec(
            f"The points are too far apart for p = {p:g}: expected powers of their distances within float64's range."
        )
    return 2.0 ** max(exponent, -MAX_EXPONENT)
