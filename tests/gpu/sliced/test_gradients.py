"""Gradients of slices against finite differences of exact costs, and against the formulas of small cases."""

from functools import cache

import numpy as np
import ot
import pytest

from gpu.device import Device
from gpu.sliced import gradients
from gpu.sliced.gradients import gradient, slope, stable_order, target
from gpu.sliced.measures import Measure

DOUBLE, SINGLE = np.dtype(np.float64), np.dtype(np.float32)
PRECISION = {DOUBLE: 1e-13, SINGLE: 1e-6}
STEP = 1e-5
"""Of a central difference, whose error is about STEP^2 where costs are smooth."""


@cache
def cpu():
    return Device("cpu")


def directions(count, d, seed=0):
    drawn = np.random.default_rng([seed, d]).normal(size=(count, d))
    return drawn / np.linalg.norm(drawn, axis=1, keepdims=True)


def cloud(n, d, seed):
    return np.random.default_rng([seed, n, d]).normal(size=(n, d)) + seed


def weights(n, seed):
    drawn = np.random.default_rng([seed, n]).uniform(0.1, 1, n)
    return drawn / drawn.sum()


def of_pot(x, y, thetas, p, a=None, b=None):
    return np.array([ot.wasserstein_1d(x @ theta, y @ theta, a, b, p=p) for theta in thetas])


def differences(function, x):
    """The gradient by central differences."""
    slopes = np.zeros_like(x)
    for place in np.ndindex(x.shape):
        moved = np.zeros_like(x)
        moved[place] = STEP
        slopes[place] = (function(x + moved) - function(x - moved)) / (2 * STEP)
    return slopes


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("p", [1, 1.5, 2, 3])
@pytest.mark.parametrize(("n", "m", "d"), [(1, 1, 2), (1, 4, 3), (6, 6, 3), (6, 4, 2), (4, 7, 5)])
def test_the_gradient_is_that_of_the_costs(n, m, d, p, weighted):
    x, y, thetas = cloud(n, d, 1), cloud(m, d, 2), directions(4, d)
    a, b = (weights(n, 3), weights(m, 4)) if weighted else (None, None)
    coefficients = np.array([0.5, -1.0, 2.0, 0.25])
    expected = differences(lambda moved: coefficients @ of_pot(moved, y, thetas, p, a, b), x)
    got = gradient(Measure(x, a), Measure(y, b), thetas, coefficients, cpu(), p)
    np.testing.assert_allclose(got, expected, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("p", [1, 1.5, 2, 3])
@pytest.mark.parametrize(("n", "m"), [(1, 1), (30, 30), (30, 17), (3, 40)])
def test_costs_beside_the_gradient_are_those_of_pot(n, m, p, weighted):
    x, y, thetas = cloud(n, 3, 1), cloud(m, 3, 2), directions(5, 3)
    a, b = (weights(n, 3), weights(m, 4)) if weighted else (None, None)
    got = slope(Measure(x, a), target(Measure(y, b), DOUBLE), thetas, np.ones(5), cpu(), p).costs
    np.testing.assert_allclose(got, of_pot(x, y, thetas, p, a, b), rtol=1e-12)


def test_for_squares_and_equal_sizes_it_is_the_difference_of_like_ranks():
    x, y, thetas = cloud(20, 3, 1), cloud(20, 3, 2), directions(6, 3)
    coefficients = np.full(6, 1 / 6)
    ranks = np.argsort(np.argsort(x @ thetas.T, axis=0), axis=0)
    partners = np.take_along_axis(np.sort(y @ thetas.T, axis=0), ranks, axis=0)
    expected = 2 / 20 * (coefficients * (x @ thetas.T - partners)) @ thetas
    np.testing.assert_allclose(gradient(Measure(x), Measure(y), thetas, coefficients, cpu(), 2), expected, rtol=1e-12)


def test_float32_projections_give_the_same_to_their_precision():
    x, y, thetas = cloud(40, 3, 1), cloud(50, 3, 2), directions(6, 3)
    exact, rounded = (slope(Measure(x), target(Measure(y), t), thetas, np.ones(6), cpu()) for t in (DOUBLE, SINGLE))
    np.testing.assert_allclose(rounded.costs, exact.costs, rtol=PRECISION[SINGLE])
    np.testing.assert_allclose(rounded.velocity, exact.velocity, atol=PRECISION[SINGLE] * np.abs(exact.velocity).max())


def test_points_far_from_the_origin_keep_their_digits():
    x, y, thetas = np.round(cloud(30, 3, 1), 6), np.round(cloud(30, 3, 2), 6), directions(6, 3)
    near, far = (
        slope(Measure(x + shift), target(Measure(y + shift), DOUBLE), thetas, np.ones(6), cpu())
        for shift in (0, 2.0**26)
    )
    # The shifted points themselves are rounded at 2^26 2^-53.
    np.testing.assert_allclose(far.velocity, near.velocity, atol=6 * 2**-25)


def test_zero_weights_move_nothing_and_are_not_moved():
    x, y, thetas = cloud(5, 3, 1), cloud(4, 3, 2), directions(6, 3)
    a, b = np.array([0.5, 0.0, 0.25, 0.25, 0.0]), np.array([0.0, 0.5, 0.5, 0.0])
    got = gradient(Measure(x, a), Measure(y, b), thetas, np.ones(6), cpu(), 2)
    kept = gradient(Measure(x[a > 0], a[a > 0]), Measure(y[b > 0]), thetas, np.ones(6), cpu(), 2)
    np.testing.assert_allclose(got[a > 0], kept, rtol=1e-12)
    assert not got[a == 0].any()


def test_an_atom_too_light_for_the_sum_is_moved_all_the_same_and_to_what_has_weight():
    x, y = (
        Measure(np.array([[0.0], [1.0]]), np.array([1.0, 1e-20])),
        Measure(np.array([[5.0], [9.0]]), np.array([1.0, 0])),
    )
    got = slope(x, target(y, DOUBLE), np.ones((1, 1)), np.ones(1), cpu())
    np.testing.assert_allclose(got.velocity, [[-5.0], [-4.0]])


@pytest.mark.parametrize("dtype", [DOUBLE, SINGLE], ids=str)
def test_equal_numbers_are_ordered_by_their_indices(dtype):
    u = np.random.default_rng(0).integers(-3, 3, (4, 200)).astype(dtype)
    u[0] = 0.0
    u[1, ::2] = -0.0
    u[1, 1::2] = 0.0
    u[3] = np.random.default_rng(1).normal(size=200)
    np.testing.assert_array_equal(stable_order(u), np.argsort(u, axis=1, kind="stable"))


def test_coinciding_points_are_told_apart_by_their_indices():
    x, y = np.zeros((3, 1)), np.array([[3.0], [1.0], [2.0]])
    got = gradient(Measure(x), Measure(y), np.ones((1, 1)), np.ones(1), cpu(), 2)
    np.testing.assert_allclose(got[:, 0], [-2 / 3, -4 / 3, -6 / 3])


@pytest.mark.parametrize("dtype", [DOUBLE, SINGLE], ids=str)
def test_slices_are_summed_alike_however_they_are_cut(monkeypatch, dtype):
    """By chunks of bounded memory, and by the threads."""
    x, y, thetas = Measure(cloud(900, 3, 1)), target(Measure(cloud(700, 3, 2)), dtype), directions(25, 3)
    together = slope(x, y, thetas, np.ones(25), cpu())
    monkeypatch.setattr(gradients, "CHUNK_BYTES", 8 * 4 * 5 * 1_600)
    apart = slope(x, y, thetas, np.ones(25), cpu())
    for one, other in zip(apart, together, strict=True):
        np.testing.assert_allclose(one, other, rtol=PRECISION[dtype], atol=PRECISION[dtype])
