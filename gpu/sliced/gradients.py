"""Gradients of sliced Wasserstein distances by the points of one measure: on every slice what its optimal plan moves.

W_p^p(theta#x, theta#y) = sum_ij plan(i, j) |theta . x_i - theta . y_j|^p has the gradient p w_i r_i theta by x_i, where
r_i = sum_j plan(i, j) sgn(t) |t|^(p-1) / w_i, t = theta . (x_i - y_j), is the residual of one unit of its mass; for
p = 2 that is theta . x_i less the mean of what x_i goes to (Bonneel et al., Sliced and Radon Wasserstein Barycenters of
Measures (2015), section 3.2). Equal projections are ordered by their indices, so that the gradient is one number.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np

from gpu.cpu.residuals import residuals
from gpu.device import Device
from gpu.leaves import Floats
from gpu.sliced.measures import Measure

CHUNK_BYTES = 32 * 2**20
"""Working memory for the slices that are computed together."""
SLICE_NUMBERS = 5
"""For each point: its projection, the same sorted, its place, its mass and its residual."""
SERIAL_NUMBERS = 16_384
"""Projections that one thread sorts as soon as several would be woken."""


class Slope(NamedTuple):
    """Slices, and where they pull each point."""

    costs: Floats
    """(L,) W_p^p of each slice."""
    velocity: Floats
    """(n, d): sum_l c_l r_li theta_l. The gradient of sum_l c_l W_p^p(theta_l) by x_i is p w_i velocity_i."""


class Target(NamedTuple):
    """The measure to which points are moved, made ready once."""

    centre: Floats
    """(d,): its mean, which is taken off both sides, so that points far from the origin keep their digits."""
    points: Floats
    """(m, d) of the dtype of projecting and sorting, less the centre."""
    weights: Floats | None


def target(y: Measure, dtype: np.dtype[Any]) -> Target:
    """Of a measure; points that have no weight are left out."""
    if y.weights is not None:
        y = Measure(y.points[y.weights > 0], y.weights[y.weights > 0])
    centre = y.mean()
    return Target(centre, (y.points - centre).astype(dtype), y.weights)


def slope(x: Measure, to: Target, directions: Floats, coefficients: Floats, device: Device, p: float = 2.0) -> Slope:
    """The costs of all slices, and sum_l c_l r_li theta_l; memory is bounded whatever the number of slices.

    Args:
        x: The points that are moved.
        to: Where to.
        directions: (L, d) float64, unit rows.
        coefficients: (L,) c.
        device: Whose threads sort.
        p: The power of the cost, >= 1.
    """
    moved = (x.points - to.centre).astype(to.points.dtype)
    sides = Sides(moved, to.points, *masses_of(x, to), p)
    costs, velocity = np.empty(len(directions)), np.zeros(moved.shape)
    # The threads are ours already: BLAS's own would only get into their way.
    with device.blas.limit(limits=1, user_api="blas"):
        for start, end in chunks(len(directions), SLICE_NUMBERS * (len(moved) + len(to.points))):
            chunk = directions[start:end]
            pulled = sides.residuals(chunk, costs[start:end], device)
            _add(velocity, coefficients[start:end, None] * chunk, pulled, device)
    return Slope(costs, velocity)


def gradient(x: Measure, y: Measure, directions: Floats, coefficients: Floats, device: Device, p: float) -> Floats:
    """Of sum_l c_l W_p^p(theta_l#x, theta_l#y) by the points of x, shape (n, d)."""
    velocity = slope(x, target(y, np.dtype(np.float64)), directions, coefficients, device, p).velocity
    return p * x.masses()[:, None] * velocity


class Sides(NamedTuple):
    """What all slices have in common."""

    x: Floats
    y: Floats
    masses: Floats
    given: Floats
    """The masses of y."""
    p: float

    def residuals(self, directions: Floats, costs: Floats, device: Device) -> Floats:
        """(L, n) r of some slices; their costs go into `costs`."""
        out = np.empty((len(directions), len(self.x)))
        cast = directions.astype(self.x.dtype)

        def rows(start: int, end: int) -> None:
            self._some(cast[start:end], out[start:end], costs[start:end])

        _in_parts(rows, len(directions), out.size, device)
        return out

    def _some(self, directions: Floats, out: Floats, costs: Floats) -> None:
        u, v, given = directions @ self.x.T, directions @ self.y.T, self.given[None]
        if (self.given == self.given[0]).all():
            v.sort(axis=1)
        else:
            by = np.argsort(v, axis=1)
            given, v = self.given[by], np.take_along_axis(v, by, axis=1)
        residuals(u, stable_order(u), v, self.masses, given, self.p, out, costs)


def _add(velocity: Floats, directions: Floats, pulled: Floats, device: Device) -> None:
    """Of one chunk of slices."""

    def points(start: int, end: int) -> None:
        velocity[start:end] += pulled[:, start:end].T @ directions

    _in_parts(points, len(velocity), pulled.size, device)


def stable_order(u: Floats) -> Floats:
    """Indices that sort each row, equal numbers by their index."""
    if u.dtype == np.float32:
        return _order_of_keys(u)
    order = np.argsort(u, axis=1)
    ascending = np.take_along_axis(u, order, axis=1)
    tied = (ascending[:, 1:] == ascending[:, :-1]).any(axis=1)
    if tied.any():
        order[tied] = np.argsort(u[tied], axis=1, kind="stable")  # three times as slow
    return order


def _order_of_keys(u: Floats) -> Floats:
    """The same for float32, where equals are common: a number and its index make one integer to sort."""
    bits = (u + 0.0).view(np.uint32)  # -0 and 0 are equal
    ordered = bits ^ np.where(bits >> 31, np.uint32(0xFFFFFFFF), np.uint32(0x80000000))
    keys = (ordered.astype(np.uint64) << np.uint64(32)) | np.arange(u.shape[1], dtype=np.uint64)
    keys.sort(axis=1)
    return (keys & np.uint64(0xFFFFFFFF)).astype(np.int64)


def masses_of(x: Measure, to: Target) -> tuple[Floats, Floats]:
    """Of both sides, with the same sum; whole numbers where both are uniform."""
    n, m = x.n, len(to.points)
    if x.weights is None and to.weights is None:
        common = math.gcd(n, m)
        return np.full(n, m / common), np.full(m, n / common)
    return x.masses(), Measure(to.points, to.weights).masses()


def chunks(count: int, numbers: int) -> Iterator[tuple[int, int]]:
    """Bounds of chunks of slices, each of so many numbers, that fit the working memory."""
    step = max(1, CHUNK_BYTES // (8 * numbers))
    return pairwise([*range(0, count, step), count])


def _in_parts(part: Callable[[int, int], None], count: int, numbers: int, device: Device) -> None:
    """All of them in equal parts, on the device's threads where that is worth waking them."""
    threads = 1 if numbers < SERIAL_NUMBERS else min(device.n_threads, count)
    bounds = [count * index // threads for index in range(threads + 1)]
    if threads == 1:
        part(0, count)
    else:
        list(device.threads.map(part, bounds[:-1], bounds[1:]))
