"""The Wasserstein cost on a line as it is defined, in plain NumPy float64: the truth in tests of what is sliced."""

from __future__ import annotations

import numpy as np

from gpu.leaves import Floats
from gpu.sliced.measures import Measure


def line_cost(u: Floats, x: Measure, v: Floats, y: Measure, p: float) -> float:
    """W_p^p = integral of |F^-1(t) - G^-1(t)|^p over 0 < t < 1, F^-1 and G^-1 the quantile functions of u and v.

    Peyre and Cuturi, Computational Optimal Transport (2019), remark 2.30.

    Args:
        u: (n,) the points of x on the line.
        x: Their weights.
        v: (m,) the points of y.
        y: Their weights.
        p: The power.
    """
    (u, u_ends), (v, v_ends) = _quantiles(u, x), _quantiles(v, y)
    ends = np.union1d(u_ends, v_ends)
    at_u = u[np.minimum(np.searchsorted(u_ends, ends), len(u) - 1)]
    at_v = v[np.minimum(np.searchsorted(v_ends, ends), len(v) - 1)]
    return float(np.abs(at_u - at_v) ** p @ np.diff(ends, prepend=0.0))


def slice_costs(x: Measure, y: Measure, directions: Floats, p: float) -> Floats:
    """(L,) W_p^p(theta#x, theta#y) of every direction."""
    return np.array([line_cost(x.points @ theta, x, y.points @ theta, y, p) for theta in directions])


def _quantiles(u: Floats, x: Measure) -> tuple[Floats, Floats]:
    """Sorted points, and the level up to which the quantile function stays at each."""
    order = np.argsort(u)
    return u[order], np.cumsum(x.masses()[order])
