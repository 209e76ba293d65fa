"""The cost of every slice against exact rational arithmetic and POT."""

from functools import cache

import numpy as np
import ot
import pytest

from gpu.cpu.sliced_order import MAX_SINGLE
from gpu.device import Device
from gpu.sliced.measures import Measure, pair
from gpu.sliced.slices import Slices, costs
from tests.gpu.sliced import exact

DOUBLE, SINGLE = np.dtype(np.float64), np.dtype(np.float32)
TOLERANCE = {DOUBLE: 1e-12, SINGLE: 1e-6}
"""Relative, of each slice."""
POWERS = (1, 1.5, 2, 3)
SIZES = ((1, 1), (1, 3), (2, 2), (3, 2), (7, 7), (40, 40), (40, 33), (31, 60))


@cache
def cpu():
    return Device("cpu")


def directions(count, d, seed=0):
    drawn = np.random.default_rng([seed, d]).normal(size=(count, d))
    return drawn / np.linalg.norm(drawn, axis=1, keepdims=True)


def cloud(n, d, seed):
    return np.random.default_rng([seed, n, d]).normal(size=(n, d)) + seed


def weights(n, seed):
    """Some are zero."""
    random = np.random.default_rng([seed, n])
    drawn = random.uniform(0.1, 1, n) * (random.uniform(size=n) < 0.8)
    drawn[0] = 1
    return drawn / drawn.sum()


def sliced(x, y, thetas, p=2, dtype=DOUBLE, x_weights=None, y_weights=None):
    made = pair(Measure(x, x_weights), Measure(y, y_weights), p, dtype)
    (got,) = costs([Slices(made, thetas)], cpu())
    assert got.dtype == np.float64
    return got


@pytest.mark.parametrize("dtype", TOLERANCE, ids=str)
@pytest.mark.parametrize("p", POWERS)
@pytest.mark.parametrize(("n", "m"), SIZES)
def test_a_slice_is_the_exact_merge(n, m, p, dtype):
    x, y, thetas = cloud(n, 3, 1), cloud(m, 3, 2), directions(4, 3)
    np.testing.assert_allclose(sliced(x, y, thetas, p, dtype), exact.costs(x, y, thetas, p), rtol=TOLERANCE[dtype])


@pytest.mark.parametrize("dtype", TOLERANCE, ids=str)
@pytest.mark.parametrize("p", POWERS)
@pytest.mark.parametrize(("n", "m"), SIZES)
def test_a_weighted_slice_is_the_exact_merge(n, m, p, dtype):
    x, y, thetas = cloud(n, 3, 1), cloud(m, 3, 2), directions(4, 3)
    a, b = weights(n, 3), weights(m, 4)
    expected = exact.costs(x, y, thetas, p, a, b)
    np.testing.assert_allclose(sliced(x, y, thetas, p, dtype, a, b), expected, rtol=TOLERANCE[dtype])


@pytest.mark.parametrize("p", POWERS)
@pytest.mark.parametrize(("n", "m", "weighted"), [(300, 300, False), (300, 217, False), (250, 300, True)])
def test_slices_are_those_of_pot(n, m, p, weighted):
    x, y, thetas = cloud(n, 5, 1), cloud(m, 5, 2), directions(20, 5)
    a, b = (weights(n, 3), weights(m, 4)) if weighted else (None, None)
    _, log = ot.sliced_wasserstein_distance(x, y, a, b, p=p, projections=thetas.T, log=True)
    np.testing.assert_allclose(sliced(x, y, thetas, p, DOUBLE, a, b), log["projected_emds"], rtol=1e-9)


@pytest.mark.parametrize("dtype", TOLERANCE, ids=str)
@pytest.mark.parametrize("p", POWERS)
@pytest.mark.parametrize("m", [30, 22])
def test_points_far_from_the_origin_keep_their_digits(p, dtype, m):
    x, y, thetas = cloud(30, 4, 1) + 1e8, cloud(m, 4, 2) + 1e8, directions(4, 4)
    np.testing.assert_allclose(sliced(x, y, thetas, p, dtype), exact.costs(x, y, thetas, p), rtol=TOLERANCE[dtype])


def many_dimensions(n, d, seed):
    """In steps of 2^-20, so that an offset of 1e8 rounds nothing; no two clouds differ but by chance."""
    return np.round(np.random.default_rng([seed, n, d]).normal(size=(n, d)) * 2**20) / 2**20


@pytest.mark.parametrize("dtype", TOLERANCE, ids=str)
@pytest.mark.parametrize("offset", [0.0, 1e8])
@pytest.mark.parametrize("d", [64, 256, 784])
def test_a_slice_of_many_dimensions_is_the_exact_merge(d, offset, dtype):
    x, y, thetas = many_dimensions(9, d, 1), many_dimensions(7, d, 2), directions(2, d)
    expected = exact.costs(x, y, thetas)
    np.testing.assert_allclose(sliced(x + offset, y + offset, thetas, 2, dtype), expected, rtol=TOLERANCE[dtype])


@pytest.mark.parametrize("dtype", TOLERANCE, ids=str)
@pytest.mark.parametrize("offset", [0.0, 1e8])
@pytest.mark.parametrize("p", [1, 2])
@pytest.mark.parametrize("n", [150, 1000])
@pytest.mark.parametrize("d", [3, 64, 256, 784])
def test_the_worst_of_a_thousand_slices_is_exact_in_any_number_of_dimensions(d, n, p, offset, dtype):
    """Their costs are small differences of projections, in which the rounding of sums would show."""
    x, y, thetas = many_dimensions(n, d, 1), many_dimensions(n, d, 2), directions(1000, d)
    expected = (np.abs(np.sort(thetas @ x.T) - np.sort(thetas @ y.T)) ** p).mean(axis=1)
    np.testing.assert_allclose(sliced(x + offset, y + offset, thetas, p, dtype), expected, rtol=TOLERANCE[dtype])


@pytest.mark.parametrize("dtype", TOLERANCE, ids=str)
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize(("n", "m"), [(1000, 1000), (1000, 3), (9999, 10000), (10000, 7777)])
def test_a_long_slice_is_the_exact_merge(n, m, weighted, dtype):
    x, y, thetas = cloud(n, 2, 1), 2 * cloud(m, 2, 2), directions(1, 2)
    a, b = (weights(n, 3), weights(m, 4)) if weighted else (None, None)
    expected = exact.costs(x, y, thetas, 2, a, b)
    np.testing.assert_allclose(sliced(x, y, thetas, 2, dtype, a, b), expected, rtol=TOLERANCE[dtype])


@pytest.mark.parametrize("dtype", TOLERANCE, ids=str)
@pytest.mark.parametrize("p", POWERS)
@pytest.mark.parametrize("weighted", [False, True])
def test_ties_and_negative_zeros_are_as_any_other_numbers(weighted, p, dtype):
    random = np.random.default_rng(7)
    x, y = (random.integers(-2, 3, (size, 2)) * 1.0 for size in (60, 45))
    x[x == 0] = -0.0
    thetas = np.array([[1.0, 0.0], [0.0, -1.0], [0.6, 0.8]])
    a, b = (weights(60, 3), weights(45, 4)) if weighted else (None, None)
    expected = exact.costs(x, y, thetas, p, a, b)
    np.testing.assert_allclose(sliced(x, y, thetas, p, dtype, a, b), expected, rtol=TOLERANCE[dtype])


def distant(n, seed):
    """Half of the points within 1e-9 of each other."""
    points = cloud(n, 2, seed)
    points[::2] = points[::2] * 1e-9
    return points


def with_an_outlier(n, seed):
    points = cloud(n, 2, seed)
    points[n // 2] *= 1e9
    return points


def of_all_scales(n, seed):
    """Most intervals of equal width are empty, and the first one holds nearly all points."""
    points = cloud(n, 2, seed)
    return points * 10.0 ** np.random.default_rng(seed).uniform(-200, 0, (n, 1))


@pytest.mark.parametrize("made", [distant, with_an_outlier, of_all_scales])
def test_weights_follow_their_points_however_these_lie(made):
    x, y, thetas = made(500, 1), made(400, 2), directions(5, 2)
    a, b = weights(500, 3), weights(400, 4)
    np.testing.assert_allclose(
        sliced(x, y, thetas, 1, DOUBLE, a, b), exact.costs(x, y, thetas, 1, a, b), rtol=TOLERANCE[DOUBLE]
    )


def test_tiny_weights_count():
    x, y = np.array([[0.0], [1.0]]), np.array([[0.0]])
    a = np.array([1.0, 1e-15])
    np.testing.assert_allclose(sliced(x, y, np.array([[1.0]]), 1, DOUBLE, a), 1e-15, rtol=1e-3)


@pytest.mark.parametrize("dtype", TOLERANCE, ids=str)
@pytest.mark.parametrize(("n", "m", "d"), [(20_000, 20_000, 2), (9_000, 8_000, 70), (20_000, 20_000, 1)])
@pytest.mark.parametrize("weighted", [False, True])
def test_large_measures_are_shared_by_the_threads_without_a_difference(n, m, d, weighted, dtype):
    x, y, thetas = cloud(n, d, 1), 2 * cloud(m, d, 2), directions(3, d)
    a, b = (weights(n, 3), weights(m, 4)) if weighted else (None, None)
    _, log = ot.sliced_wasserstein_distance(x, y, a, b, projections=thetas.T, log=True)
    rtol = 1e-9 if dtype == DOUBLE else TOLERANCE[dtype]
    np.testing.assert_allclose(sliced(x, y, thetas, 2, dtype, a, b), log["projected_emds"], rtol=rtol)


def test_more_atoms_than_short_keys_tell_apart():
    n = MAX_SINGLE + 10_000
    x, y, a = cloud(n, 1, 1), cloud(5, 1, 2), weights(n, 3)
    expected, order = 0.0, x[:, 0].argsort()
    levels = np.append(0, np.cumsum(a[order]))
    for k, point in enumerate(np.sort(y[:, 0])):
        shared = np.diff(np.clip(levels, k / 5, (k + 1) / 5))
        expected += shared @ np.abs(x[order, 0] - point)
    np.testing.assert_allclose(sliced(x, y, np.ones((1, 1)), 1, DOUBLE, a), expected, rtol=1e-11)


@pytest.mark.parametrize("dtype", TOLERANCE, ids=str)
@pytest.mark.parametrize("p", POWERS)
def test_equal_measures_cost_nothing(p, dtype):
    x, thetas = cloud(50, 3, 1), directions(9, 3)
    assert not sliced(x, x, thetas, p, dtype).any()
    assert not sliced(x, x.copy(), thetas, p, dtype, weights(50, 1), weights(50, 1)).any()


@pytest.mark.parametrize("scale", [1e-100, 1e100])
def test_costs_are_homogeneous_in_the_points(scale):
    x, y, thetas = cloud(30, 3, 1), cloud(20, 3, 2), directions(5, 3)
    expected = sliced(x, y, thetas) * scale**2
    np.testing.assert_allclose(sliced(x * scale, y * scale, thetas), expected, rtol=1e-12)


def test_no_answer_depends_on_the_requests_beside_it():
    requests = [
        Slices(pair(Measure(cloud(n, 3, 1)), Measure(cloud(m, 3, 2)), 2, DOUBLE), directions(9, 3)) for n, m in SIZES
    ]
    together = costs(requests, cpu())
    for request, got in zip(requests, together, strict=True):
        np.testing.assert_array_equal(got, costs([request], cpu())[0])


def test_progress_ends_at_one():
    heard = []
    made = pair(Measure(cloud(5000, 3, 1)), Measure(cloud(5000, 3, 2)), 2, DOUBLE)
    large = pair(Measure(cloud(50_000, 3, 1)), Measure(cloud(50_000, 3, 2)), 2, DOUBLE)
    costs([Slices(made, directions(400, 3)), Slices(large, directions(90, 3))], cpu(), heard.append)
    assert heard == sorted(heard)
    assert heard[-1] == 1.0
    assert len(heard) > 2
