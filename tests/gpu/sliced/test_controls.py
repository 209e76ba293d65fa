import numpy as np
import pytest
from scipy.integrate import quad

from gpu.sliced import controls
from gpu.sliced.directions import directions, stream
from gpu.sliced.harmonics import monomials
from gpu.sliced.measures import Measure, pair
from gpu.sliced.slices import Slices, costs
from mercer.specs.harmonics import HIGHEST_DEGREE, directions_for_harmonics, highest_degree, n_harmonics
from tests.gpu.sliced.estimating import cloud, cpu, units, weights


def measures(n, m, d, p=2.0, weighted=False):
    a, b = (weights(n), weights(m)) if weighted else (None, None)
    y = cloud(m, d, seed=1, shift=0.4) * np.linspace(0.5, 2, d)
    return pair(Measure(cloud(n, d), a), Measure(y, b), p, np.dtype(np.float64))


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize(("n", "m", "d"), [(1, 1, 3), (2, 9, 2), (20, 20, 5), (30, 12, 8)])
def test_every_slice_is_between_its_forms(n, m, d, weighted):
    made = measures(n, m, d, weighted=weighted)
    rows = units(200, d)
    (found,) = costs([Slices(made, rows)], cpu())
    forms = controls.moments(made).forms(rows)
    slack = 1e-13 * controls.bracket(made).upper * d
    assert (forms.low <= forms.gaussian).all()
    assert (forms.gaussian <= found + slack).all()
    assert (found <= forms.high + slack).all()


@pytest.mark.parametrize("p", [1.0, 2.0])
def test_the_bracket_is_the_mean_of_the_forms(p):
    """A full frame integrates every quadratic form exactly."""
    made = measures(12, 15, 6, p, weighted=True)
    forms = controls.moments(made).forms(np.eye(6))
    found = controls.bracket(made)
    np.testing.assert_allclose([found.lower, found.upper], [forms.low.mean(), forms.high.mean()], rtol=1e-13)


def test_the_mean_of_the_gaussian_control_is_its_integral_over_the_circle():
    made = measures(10, 14, 2)
    moments = controls.moments(made)

    def integrand(angle):
        return moments.forms(np.array([[np.cos(angle), np.sin(angle)]])).gaussian[0]

    expected = quad(integrand, 0, np.pi, epsabs=1e-12, epsrel=1e-12)[0] / np.pi
    mean, error = controls.gaussian_mean(moments, 20_000, stream(0))
    assert abs(mean - expected) < 4 * error < 1e-3 * expected


def test_the_mean_of_the_gaussian_control_is_that_of_a_lebedev_rule_where_variances_are_far_apart():
    """Here the terms of second and third order are large, and so would be an error in their means."""
    moments = controls.Moments(np.zeros(3), np.diag([1.0, 1.0, 9.0]), np.diag([4.0, 1.0, 0.5]))
    drawn = directions("lebedev", 3, 10_000, stream(0))
    expected = drawn.weights @ moments.forms(drawn.rows).gaussian
    mean, error = controls.gaussian_mean(moments, 40_000, stream(0))
    assert abs(mean - expected) < 4 * error < 3e-3 * expected


@pytest.mark.parametrize("d", [3, 5, 12])
def test_the_mean_of_the_gaussian_control_is_that_of_many_directions(d):
    moments = controls.moments(measures(20, 25, d))
    values = moments.forms(directions("orthogonal", d, 60_000, stream(1)).rows).gaussian
    mean, error = controls.gaussian_mean(moments, 100, stream(0))
    assert abs(mean - values.mean()) < 4 * error + 5 * values.std() / np.sqrt(len(values))
    assert error < values.std() / 100


def test_the_mean_of_the_gaussian_control_has_an_honest_error():
    moments = controls.moments(measures(20, 25, 4))
    truth = controls.gaussian_mean(moments, 100_000, stream(99))[0]
    found = [controls.gaussian_mean(moments, 1, stream(seed)) for seed in range(200)]
    deviations = np.array([(mean - truth) / error for mean, error in found])
    assert abs(deviations.mean()) < 4 / np.sqrt(200)
    assert 0.8 < deviations.std() < 1.25


def test_covariances_that_are_multiples_of_each_other_leave_nothing_to_sample():
    x = cloud(20, 4)
    made = pair(Measure(x), Measure(3 * x), 2.0, np.dtype(np.float64))
    mean, error = controls.gaussian_mean(controls.moments(made), 1, stream(0))
    bracket = controls.bracket(made)
    np.testing.assert_allclose(mean, bracket.concentrated, rtol=1e-13)
    assert error < 1e-14 * mean


@pytest.mark.parametrize(("d", "degree"), [(2, 4), (3, 2), (3, 6), (5, 4)])
def test_monomials_have_their_means(d, degree):
    rows = directions("orthogonal", d, 40_000, stream(0)).rows
    values, means = monomials(rows, degree)
    assert values.shape[1] == n_harmonics(d, degree) + 1
    assert (np.abs(values.mean(axis=0) - means) < 5 * values.std(axis=0) / np.sqrt(len(rows))).all()


def test_monomials_on_a_lebedev_rule_have_their_means_to_rounding():
    drawn = directions("lebedev", 3, 110, stream(0))
    values, means = monomials(drawn.rows, 16)
    np.testing.assert_allclose(drawn.weights @ values, means, atol=1e-13)


def test_the_degree_grows_with_the_number_of_directions():
    assert [highest_degree(3, n) for n in (34, 35, 79, 80, 144, 145)] == [0, 2, 2, 4, 4, 6]
    assert highest_degree(3, 10**6) == HIGHEST_DEGREE
    assert highest_degree(10, 10**6) == 4  # of degree 6 there are 5,004
    assert highest_degree(64, 10_000) == 0
    assert directions_for_harmonics(64, 2) == 10 + 5 * (64 * 65 // 2 - 1)
