"""SW_2^2 of two uniform measures of n points each in the plane, integrated over all angles in closed form."""

from __future__ import annotations

import math

import numpy as np

from gpu.cpu.jit import inner, outer
from gpu.leaves import Floats


def mean_cost(x: Floats, y: Floats) -> float:
    """(1 / pi) times the integral of W_2^2(theta#x, theta#y) over the half circle, for x and y of shape (n, 2).

    The points that are matched change only at angles where two projections of one measure are equal, n (n - 1) / 2 of
    them for each measure in half a turn. Between them n W_2^2 = sum |x_i|^2 + |y_i|^2 - 2 theta^T M theta with
    M = sum x_(k) y_(k)^T, and each swap changes M by one product: of the integral of theta^T M theta it leaves a sum
    over swaps. Both measures are centred, so that little cancels. O(n^2 log n) time, O(n^2) memory.
    """
    n = len(x)
    x_mean, y_mean = x.mean(axis=0), y.mean(axis=0)
    delta, x, y = x_mean - y_mean, x - x_mean, y - y_mean
    if np.array_equal(x, y):
        return float(delta @ delta) / 2
    first, second = np.triu_indices(n, 1)
    angles = np.concatenate([_swap_angles(x, first, second), _swap_angles(y, first, second)])
    order = np.argsort(angles, kind="stable")
    order = order[: np.isfinite(angles).sum()]
    # No pair swaps between the last angle of a half turn and the first of the next.
    x_order, y_order = _order(x), _order(y)
    product = _integral(x, y, x_order, y_order, first, second, order, angles[order])
    squares = (float((x**2).sum()) + float((y**2).sum())) / 2
    return max(0.0, (squares - 2 * product / math.pi) / n) + float(delta @ delta) / 2


def _swap_angles(points: Floats, first: Floats, second: Floats) -> Floats:
    """In (0, pi], where theta . (p_i - p_j) = 0; infinite for equal points, which need no swap."""
    difference = points[second] - points[first]
    angle = np.arctan2(-difference[:, 0], difference[:, 1])
    angle = np.where(angle <= 0, angle + math.pi, angle)
    angle = np.where(angle <= 0, math.pi, angle)  # one above the other, whichever way the zero is signed
    return np.where((difference == 0).all(axis=1), np.inf, angle)


def _order(points: Floats) -> Floats:
    """The order of the projections on angles just above 0: by the first coordinate, then by the second."""
    return np.lexsort((points[:, 1], points[:, 0]))


@outer
def _integral(
    x: Floats, y: Floats, x_order: Floats, y_order: Floats, first: Floats, second: Floats, swaps: Floats, angles: Floats
) -> float:
    """Of theta^T M theta over (0, pi)."""
    n, pairs = len(x), len(first)
    x_place, y_place = np.empty(n, np.int64), np.empty(n, np.int64)
    total = 0.0
    for k in range(n):
        x_place[x_order[k]], y_place[y_order[k]] = k, k
        i, j = x_order[k], y_order[k]
        total += _up_to_pi(x[i], y[j], 0.0)
    waiting = np.empty(len(swaps), np.int64)
    n_waiting = 0
    for event in range(len(swaps)):
        waiting[n_waiting] = event
        n_waiting += 1
        swapped = True
        while swapped:  # of several points on a line some pairs are not neighbours until others have swapped
            swapped, kept = False, 0
            for index in range(n_waiting):
                number = swaps[waiting[index]]
                i, j = first[number % pairs], second[number % pairs]
                if number < pairs:
                    done, change = _swap(x, x_order, x_place, y, y_order, i, j, angles[event])
                else:
                    done, change = _swap(y, y_order, y_place, x, x_order, i, j, angles[event])
                total += change
                swapped = swapped or done
                if not done:
                    waiting[kept] = waiting[index]
                    kept += 1
            n_waiting = kept
            swapped = swapped and kept > 0
    return total


@inner
def _swap(
    p: Floats, order: Floats, place: Floats, q: Floats, q_order: Floats, i: int, j: int, angle: float
) -> tuple[bool, float]:
    """Exchange neighbours; whether they were, and what it adds to the integral from that angle on."""
    k = min(place[i], place[j])
    if abs(place[i] - place[j]) != 1:
        return False, 0.0
    left, right = order[k], order[k + 1]
    order[k], order[k + 1] = right, left
    place[left], place[right] = k + 1, k
    return True, _up_to_pi(p[right] - p[left], q[q_order[k]] - q[q_order[k + 1]], angle)


@inner
def _up_to_pi(u: Floats, v: Floats, angle: float) -> float:
    """The integral of (theta . u)(theta . v) from an angle to pi."""
    rest, sine, cosine = math.pi - angle, math.sin(2 * angle), math.cos(2 * angle)
    even = u[0] * v[0] * (rest - sine / 2) / 2 + u[1] * v[1] * (rest + sine / 2) / 2
    return even - (u[0] * v[1] + u[1] * v[0]) * (1 - cosine) / 4
