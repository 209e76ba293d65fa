"""Gradients of W_p^p on a slice by its direction, and the way up from many directions at once.

f(theta) = W_p^p(theta#x, theta#y) = sum_ij plan(i, j) |t|^p, t = theta . (x_i - y_j), has the gradient
p sum_ij plan(i, j) sgn(t) |t|^(p-1) (x_i - y_j), as long as the plan does not change (Danskin's theorem: f is the least
of such sums over all plans). Where it does, at ties, any such vector is taken.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from gpu.device import Device
from gpu.leaves import Floats
from gpu.sliced.gradients import SLICE_NUMBERS, Sides, Target, chunks, masses_of
from gpu.sliced.measures import Measure, Pair


class Turning(NamedTuple):
    """A pair of measures, made ready once; all is in the unit `scale` of the pair."""

    x: Sides
    y: Sides
    delta: Floats
    """(d,), for p = 2: the difference of the means, which are taken off both sides."""
    p: float

    def slopes(self, directions: Floats, device: Device) -> tuple[Floats, Floats]:
        """(L,) f and (L, d) its gradients."""
        costs, gradients = np.empty(len(directions)), np.empty(directions.shape)
        with device.blas.limit(limits=1, user_api="blas"):
            for start, end in chunks(len(directions), SLICE_NUMBERS * (len(self.x.x) + len(self.y.x))):
                some = slice(start, end)
                gradients[some] = self._pull(self.x, directions[some], costs[some], device)
                gradients[some] += self._pull(self.y, directions[some], costs[some], device)
        along = directions @ self.delta
        return costs + along**2, gradients + 2 * along[:, None] * self.delta

    def _pull(self, side: Sides, directions: Floats, costs: Floats, device: Device) -> Floats:
        """(L, d): a side's share of the gradients."""
        residuals = side.residuals(directions, costs, device)
        residuals *= self.p * (side.masses / side.masses.sum())
        return residuals @ side.x


def turning(pair: Pair) -> Turning:
    """Of a pair of measures."""
    u, v = pair.u(), pair.v()
    a, b = masses_of(Measure(u, pair.x.weights), Target(np.zeros(pair.x.d), v, pair.y.weights))
    delta = pair.delta / pair.scale if pair.p == 2 else np.zeros(pair.x.d)
    return Turning(Sides(u, v, a, b, pair.p), Sides(v, u, b, a, pair.p), delta, pair.p)
