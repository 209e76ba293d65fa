"""Measures and pairs of them."""

import numpy as np
import pytest

from gpu.sliced.measures import Measure, pair
from mercer.errors import InvalidSpec

DOUBLE, SINGLE = np.dtype(np.float64), np.dtype(np.float32)
RANDOM = np.random.default_rng(5)
X, Y = RANDOM.normal(size=(40, 3)) + 7, RANDOM.normal(size=(30, 3)) - 2
A = RANDOM.dirichlet(np.ones(40))


@pytest.mark.parametrize("weights", [None, A], ids=["uniform", "weighted"])
def test_mean_and_covariance_are_numpys(weights):
    measure = Measure(X, weights)
    np.testing.assert_allclose(measure.mean(), np.average(X, axis=0, weights=weights), rtol=1e-14)
    np.testing.assert_allclose(measure.covariance(), np.cov(X.T, ddof=0, aweights=weights), rtol=1e-12)


def test_covariance_keeps_its_digits_far_from_the_origin():
    np.testing.assert_allclose(
        Measure(X + 2.0**30).covariance(), Measure(X + 2.0**30 - 2.0**30).covariance(), rtol=1e-12
    )


def test_atoms_of_weight_zero_are_dropped():
    weights = np.where(np.arange(40) < 10, 0, A)
    made = pair(Measure(X, weights), Measure(Y), 2, DOUBLE)
    np.testing.assert_array_equal(made.x.points, X[10:])
    np.testing.assert_allclose(made.x.weights, weights[10:] / weights.sum(), rtol=1e-15)


def test_equal_weights_are_no_weights():
    made = pair(Measure(X, np.full(40, 1 / 40)), Measure(Y), 2, DOUBLE)
    assert made.x.weights is None


@pytest.mark.parametrize("weights", [None, A], ids=["uniform", "weighted"])
@pytest.mark.parametrize("shift", [0.0, 1e8])
def test_for_p_2_each_measure_is_centred_on_its_own_mean(weights, shift):
    made = pair(Measure(X + shift, weights), Measure(Y + shift), 2, DOUBLE)
    np.testing.assert_allclose(np.average(made.u(), axis=0, weights=weights), 0, atol=1e-16)
    np.testing.assert_allclose(made.v().mean(axis=0), 0, atol=1e-16)
    x, y = Measure(X + shift - shift, weights), Measure(Y + shift - shift)
    np.testing.assert_allclose(made.delta, x.mean() - y.mean(), rtol=1e-14)


@pytest.mark.parametrize("p", [1, 1.5, 3])
def test_for_other_p_differences_stay_as_they_are(p):
    made = pair(Measure(X), Measure(Y), p, DOUBLE)
    differences = made.u()[:, None] - made.v()
    np.testing.assert_allclose(differences * made.scale, X[:, None] - Y, rtol=1e-12, atol=1e-14)
    assert not made.delta.any()


@pytest.mark.parametrize("dtype", [SINGLE, DOUBLE], ids=str)
def test_prepared_points_lie_within_half_of_the_origin(dtype):
    made = pair(Measure(X * 1e9), Measure(Y * 1e9), 3, dtype)
    norms = np.linalg.norm(np.concatenate([made.u(), made.v()]), axis=1)
    assert made.u().dtype == dtype
    assert 0.05 < norms.max() <= 0.5


def test_powers_beyond_float64_are_refused():
    with pytest.raises(InvalidSpec, match="p = 100"):
        pair(Measure(X * 1e6), Measure(Y * 1e6), 100, DOUBLE)
