"""Gradients of controlled estimates against finite differences of the estimates' formulas."""

import numpy as np
import pytest

from gpu.sliced.descent import Estimator, descent
from gpu.sliced.gradients import target
from gpu.sliced.measures import Measure
from tests.gpu.sliced.test_gradients import DOUBLE, cloud, cpu, differences, directions, of_pot, weights


def controls(x, y, thetas, bound, a, b):
    """C(theta_l) - E C."""
    d = x.shape[1]
    delta = np.average(x, axis=0, weights=a) - np.average(y, axis=0, weights=b)
    form = np.outer(delta, delta)
    if bound == "upper":
        form += np.cov(x.T, aweights=a, ddof=0) + np.cov(y.T, aweights=b, ddof=0)
    return np.einsum("li,ij,lj->l", thetas, form, thetas) - form.trace() / d


def estimate(x, y, thetas, estimator, a=None, b=None):
    """As the paper has it."""
    slices = of_pot(x, y, thetas, 2, a, b)
    if estimator.control == "none":
        return slices.mean()
    values = controls(x, y, thetas, estimator.control, a, b)
    if estimator.coefficient == "one":
        return slices.mean() - values.mean()
    centred = values - values.mean() if estimator.coefficient == "intercept" else values
    coefficient = ((slices - slices.mean()) * values).mean() / (centred**2).mean()
    return slices.mean() - coefficient * values.mean()


ESTIMATORS = [
    Estimator(),
    *(Estimator(bound, how) for bound in ("lower", "upper") for how in ("one", "second_moment", "intercept")),
]


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize(("n", "m", "d", "count"), [(6, 6, 3, 8), (5, 8, 3, 2), (7, 4, 6, 4)])
@pytest.mark.parametrize("estimator", ESTIMATORS, ids="-".join)
def test_the_velocity_is_the_gradient_of_the_estimate(estimator, n, m, d, count, weighted):
    """Through the coefficient of the control, as automatic differentiation goes."""
    x, y, thetas = cloud(n, d, 1), 0.5 * cloud(m, d, 2), directions(count, d)
    a, b = (weights(n, 3), weights(m, 4)) if weighted else (np.full(n, 1 / n), np.full(m, 1 / m))
    equal = np.full(count, 1 / count)
    got = descent(Measure(x, a), target(Measure(y, b), DOUBLE), thetas, equal, estimator, cpu())
    np.testing.assert_allclose(got.estimate, estimate(x, y, thetas, estimator, a, b), rtol=1e-10)
    expected = differences(lambda moved: estimate(moved, y, thetas, estimator, a, b), x)
    np.testing.assert_allclose(2 * a[:, None] * got.velocity, expected, rtol=1e-6, atol=1e-6)


def test_centring_takes_the_mean_part_exactly():
    """Of a translate there is no other part: one direction finds the distance, and pulls all points straight."""
    y = cloud(12, 3, 1)
    x = y + np.array([1.0, -2.0, 0.5])
    centred = Estimator("lower", "one")
    got = descent(Measure(x), target(Measure(y), DOUBLE), directions(1, 3), np.ones(1), centred, cpu())
    np.testing.assert_allclose(got.estimate, (1 + 4 + 0.25) / 3, rtol=1e-12)
    np.testing.assert_allclose(got.velocity, np.tile([1 / 3, -2 / 3, 0.5 / 3], (12, 1)), rtol=1e-12)


def test_on_a_whole_frame_the_control_changes_nothing():
    """A frame of orthogonal directions integrates every quadratic form exactly."""
    x, y = cloud(9, 3, 1), cloud(9, 3, 2)
    frame = np.linalg.qr(np.random.default_rng(0).normal(size=(3, 3)))[0]
    plain, *others = (
        descent(Measure(x), target(Measure(y), DOUBLE), frame, np.full(3, 1 / 3), Estimator(bound, "one"), cpu())
        for bound in ("none", "lower", "upper")
    )
    for other in others:
        np.testing.assert_allclose(other.estimate, plain.estimate, rtol=1e-12)
        np.testing.assert_allclose(other.velocity, plain.velocity, atol=1e-12)


@pytest.mark.parametrize("estimator", [one for one in ESTIMATORS if one != ("upper", "one")], ids="-".join)
def test_identical_measures_are_at_rest(estimator):
    x = cloud(8, 3, 1)
    got = descent(Measure(x), target(Measure(x), DOUBLE), directions(5, 3), np.full(5, 0.2), estimator, cpu())
    assert abs(got.estimate) < 1e-30
    assert np.abs(got.velocity).max() < 1e-14
