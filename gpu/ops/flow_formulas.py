"""Estimates of SW_2^2 and their gradients in plain NumPy: slices, controls and coefficients written out."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from gpu.leaves import Floats
from gpu.sliced.descent import Estimator
from gpu.sliced.directions import Directions
from gpu.sliced.measures import Measure


def estimate(estimator: Estimator, x: Measure, y: Measure, drawn: Directions) -> tuple[float, Floats]:
    """S and its gradient by x, (n, d), by the rules of sums, products and quotients."""
    shares = drawn.weights
    w, dw = _all(_slice(x, y, theta) for theta in drawn.rows)
    if estimator.control == "none":
        return float(shares @ w), np.tensordot(shares, dw, 1)
    c, dc = _all(_control(estimator.control == "upper", x, y, theta) for theta in drawn.rows)
    if estimator.coefficient == "one":
        return float((w - c).mean()), (dw - dc).mean(axis=0)
    g, dg = _slope(w, dw, c, dc, centred=estimator.coefficient == "intercept")
    return float(w.mean() - g * c.mean()), dw.mean(axis=0) - dg * c.mean() - g * dc.mean(axis=0)


def _all(values: Iterable[tuple[float, Floats]]) -> tuple[Floats, Floats]:
    numbers, gradients = zip(*values, strict=True)
    return np.array(numbers), np.array(gradients)


def _slope(w: Floats, dw: Floats, c: Floats, dc: Floats, *, centred: bool) -> tuple[float, Floats]:
    """The coefficient sum (w_l - mean w) c_l / sum c_l^2 and its gradient; with an intercept, of centred c_l below."""
    below, d_below = (c - c.mean(), dc - dc.mean(axis=0)) if centred else (c, dc)
    top, bottom = (w - w.mean()) @ c, below @ below
    d_top = np.tensordot(w - w.mean(), dc, 1) + np.tensordot(c, dw - dw.mean(axis=0), 1)
    d_bottom = 2 * np.tensordot(below, d_below, 1)
    return float(top / bottom), (d_top * bottom - top * d_bottom) / bottom**2


def _slice(x: Measure, y: Measure, theta: Floats) -> tuple[float, Floats]:
    """W_2^2 on a line, from the quantile functions, and its gradient by x."""
    (u, a), (v, b) = (x.points @ theta, x.masses()), (y.points @ theta, y.masses())
    rows, columns = np.argsort(u, kind="stable"), np.argsort(v, kind="stable")
    starts, others = (np.concatenate([[0.0], np.cumsum(sorted_masses)[:-1]]) for sorted_masses in (a[rows], b[columns]))
    levels = np.append(np.unique(np.concatenate([starts, others])), 1.0)
    i = rows[np.searchsorted(starts, levels[:-1], "right") - 1]
    j = columns[np.searchsorted(others, levels[:-1], "right") - 1]
    mass, difference = np.diff(levels), u[i] - v[j]
    pulled = np.bincount(i, 2 * mass * difference, minlength=len(u))
    return float(mass @ difference**2), np.outer(pulled, theta)


def _control(upper: bool, x: Measure, y: Measure, theta: Floats) -> tuple[float, Floats]:
    """C - E C of one direction and its gradient by x."""
    delta = x.mean() - y.mean()
    form, moved = np.outer(delta, delta), np.tile(delta, (x.n, 1))
    if upper:
        form = form + x.covariance() + y.covariance()
        moved = moved + x.points - x.mean()
    own = np.outer(theta, theta) - np.eye(x.d) / x.d
    return float((own * form).sum()), 2 * x.masses()[:, None] * moved @ own
