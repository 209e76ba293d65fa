"""Estimates of SW_2^2 with their gradients, through the coefficient of the control as well.

With slices w_l = W_2^2(theta_l), weights a_l of sum 1 and controls D_l = C(theta_l) - E C, whose mean over the sphere
is 0, an estimate is S = sum_l a_l w_l - g sum_l a_l D_l. With a regressed coefficient (Nguyen and Ho, Sliced
Wasserstein Estimation with Control Variates (2024), definition 1; a_l = 1/L)

    g = N / V,   N = mean (w_l - mean w) D_l,   V = mean D_l^2.

So dS = sum_l c_l dw_l + sum_l e_l dD_l with b = mean D and

    c_l = a_l - b / (L V) (D_l - b),   e_l = -a_l g - b / (L V) (w_l - mean w - 2 g D_l);

c needs no w, so the slices are summed in one pass. A least-squares line with an intercept has V = mean (D_l - b)^2 and
D_l - b in the place of D_l in e_l; a fixed g = 1 has c = a and e = -a. C is a quadratic form theta^T A theta, with
A = delta delta^T, delta = mean x - mean y, and for the upper bound both covariances more: E C = tr A / d, and with
M = sum_l e_l (theta_l theta_l^T - I / d) the second sum's gradient by x_i is 2 v_i M delta for the lower bound and
2 v_i M (delta + x_i - mean x) for the upper one, where v_i is the weight of x_i.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

import numpy as np

from gpu.device import Device
from gpu.leaves import Floats
from gpu.sliced.gradients import Target, slope
from gpu.sliced.measures import Measure

Control = Literal["none", "lower", "upper"]
Coefficient = Literal["one", "second_moment", "intercept"]
GUARD = 1e-24
"""Added to V, as the paper's code does: identical means make every D_l zero."""


class Estimator(NamedTuple):
    """How slices become an estimate."""

    control: Control = "none"
    coefficient: Coefficient = "one"


PLAIN = Estimator()


class Descent(NamedTuple):
    """An estimate at some points, and where it pulls them."""

    estimate: float
    """Of SW_2^2; below 0 where a control overshoots."""
    plain: float
    """sum_l a_l w_l."""
    velocity: Floats
    """(n, d): the gradient of the estimate by x_i is 2 v_i velocity_i."""


def descent(
    x: Measure, to: Target, directions: Floats, weights: Floats, estimator: Estimator, device: Device
) -> Descent:
    """The estimate of SW_2^2(x, y) over directions (L, d) with weights (L,), and its gradient."""
    if estimator.control == "none":
        own = slope(x, to, directions, weights, device)
        plain = float(weights @ own.costs)
        return Descent(plain, plain, own.velocity)
    form = _Form.of(x, to, upper=estimator.control == "upper")
    controls = form.controls(directions)
    c, deviations, variance = _weights_of_slices(weights, controls, estimator.coefficient)
    own = slope(x, to, directions, c, device)
    plain, mean = float(weights @ own.costs), float(weights @ controls)
    if estimator.coefficient == "one":
        g, e = 1.0, -weights
    else:
        g = float(weights @ ((own.costs - plain) * controls)) / variance
        e = -weights * (g + mean / variance * (own.costs - plain - 2 * g * deviations))
    return Descent(plain - g * mean, plain, own.velocity + form.pulled(e, directions))


def _weights_of_slices(weights: Floats, controls: Floats, coefficient: Coefficient) -> tuple[Floats, Floats, float]:
    """c, the deviations of the controls that V is made of, and V."""
    mean = weights @ controls
    deviations = controls - mean if coefficient == "intercept" else controls
    variance = float(weights @ deviations**2) + GUARD
    if coefficient == "one":
        return weights, deviations, variance
    return weights * (1 - mean / variance * (controls - mean)), deviations, variance


class _Form(NamedTuple):
    """theta^T A theta."""

    delta: Floats
    """(d,) the difference of the means."""
    x: Measure | None
    """Centred; for the upper bound alone."""
    y: Measure | None

    @classmethod
    def of(cls, x: Measure, to: Target, *, upper: bool) -> _Form:
        moved = Measure(x.points - to.centre, x.weights)
        delta = moved.mean()
        if not upper:
            return cls(delta, None, None)
        return cls(delta, Measure(moved.points - delta, x.weights), Measure(to.points.astype(np.float64), to.weights))

    def controls(self, directions: Floats) -> Floats:
        """(L,) D_l."""
        d = len(self.delta)
        values = (directions @ self.delta) ** 2 - self.delta @ self.delta / d
        for measure in (self.x, self.y):
            if measure is not None:
                values += _spread(measure, directions)
        return values

    def pulled(self, e: Floats, directions: Floats) -> Floats:
        """M (delta + x_i - mean x), shape (n, d), or (d,) for the lower bound."""
        moved = self.delta if self.x is None else self.delta + self.x.points
        share = e.sum() / len(self.delta)
        if len(directions) < len(self.delta):
            return (moved @ directions.T * e) @ directions - share * moved
        return moved @ ((e[:, None] * directions).T @ directions) - share * moved


def _spread(measure: Measure, directions: Floats) -> Floats:
    """theta^T S theta - tr S / d of a centred measure with covariance S: (L,)."""
    points, weights = measure.points, measure.masses()
    trace = weights @ np.einsum("ij,ij->i", points, points)
    if len(directions) < measure.d:
        along = (points @ directions.T) ** 2
        return weights @ along - trace / measure.d
    covariance = (weights[:, None] * points).T @ points
    return np.einsum("li,ij,lj->l", directions, covariance, directions, optimize=True) - trace / measure.d
