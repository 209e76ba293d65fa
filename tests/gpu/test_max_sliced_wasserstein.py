"""The max-sliced distance against grids, many random directions, closed forms, and POT along what was found."""

import math
from functools import cache

import numpy as np
import ot
import pytest

from gpu.device import Device
from gpu.ops import max_sliced_wasserstein as op
from gpu.sliced.ascent import ascend, search, separate
from gpu.sliced.measures import Measure, pair
from gpu.sliced.slices import Slices, costs
from gpu.sliced.turning import turning
from gpu.task import Cancelled, Task
from mercer.errors import InvalidSpec
from mercer.specs import MaxSlicedWasserstein

DOUBLE = np.dtype(np.float64)
CLOUDS = [(5, 5, 2, False), (6, 9, 3, False), (40, 30, 5, True), (150, 150, 12, False), (30, 30, 40, False)]


@cache
def cpu():
    return Device("cpu")


def cloud(n, d, seed, shift=0.0):
    return np.random.default_rng([seed, n, d]).normal(size=(n, d)) * np.linspace(0.5, 1.5, d) + shift


def weights(n, weighted):
    return np.random.default_rng(n).dirichlet(np.ones(n)) if weighted else None


def task(x, y, report=lambda share: None, **options):
    spec = MaxSlicedWasserstein(x=x, y=y, **options)
    return Task(spec, spec.arrays(), report)


def found(x, y, **options):
    (answer,) = op.run([task(x, y, **options)], cpu())
    return MaxSlicedWasserstein.answer(answer.array(), answer.facts)


def along(x, y, directions, p, a=None, b=None):
    """W_p along each direction."""
    made = pair(Measure(x, a), Measure(y, b), p, DOUBLE)
    return costs([Slices(made, directions)], cpu())[0] ** (1 / p)


def directions(count, d, seed=7):
    drawn = np.random.default_rng([seed, d]).normal(size=(count, d))
    return drawn / np.linalg.norm(drawn, axis=1, keepdims=True)


@pytest.mark.parametrize("p", [1.0, 1.5, 2.0, 3.0])
@pytest.mark.parametrize(("n", "m", "d", "weighted"), CLOUDS)
def test_no_random_direction_is_better(n, m, d, weighted, p):
    x, y, a, b = cloud(n, d, 1), cloud(m, d, 2, shift=0.1), weights(n, weighted), weights(m, weighted)
    got = found(x, y, x_weights=a, y_weights=b, p=p)
    assert got.distance >= along(x, y, directions(10_000, d), p, a, b).max()
    assert got.distance >= got.best_random > 0
    assert not got.exact


@pytest.mark.parametrize("p", [1.0, 2.0, 3.0])
@pytest.mark.parametrize(("n", "m", "d", "weighted"), CLOUDS)
def test_the_distance_is_pots_along_the_direction(n, m, d, weighted, p):
    x, y, a, b = cloud(n, d, 1), cloud(m, d, 2, shift=0.1), weights(n, weighted), weights(m, weighted)
    given = task(x, y, x_weights=a, y_weights=b, p=p, n_projections=50, n_starts=1)
    (answer,) = op.run([given], cpu())
    got = MaxSlicedWasserstein.answer(answer.array(), answer.facts)
    assert np.linalg.norm(got.direction) == pytest.approx(1, rel=1e-14)
    expected = ot.emd2_1d(x @ got.direction, y @ got.direction, a, b, metric="minkowski", p=p)
    assert got.power == pytest.approx(expected, rel=1e-9)
    assert got.power == pytest.approx(op.reference(given, got.direction), rel=1e-12)
    assert got.distance == pytest.approx(got.power ** (1 / p), rel=1e-14)


@pytest.mark.parametrize("p", [1.0, 2.0, 2.5])
@pytest.mark.parametrize(("n", "m"), [(3, 3), (5, 8), (60, 60), (50, 80)])
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_in_the_plane_it_is_the_maximum_of_a_fine_grid(n, m, p, seed):
    x, y = cloud(n, 2, seed), cloud(m, 2, seed + 10)
    angles = np.linspace(0, np.pi, 20_001)
    grid = along(x, y, np.stack([np.cos(angles), np.sin(angles)], axis=1), p).max()
    got = found(x, y, p=p, seed=seed).distance
    assert grid <= got * (1 + 1e-12)
    # W_p changes by no more than the largest distance of two points times the angle.
    diameter = np.linalg.norm(x[:, None] - y, axis=2).max()
    assert got <= grid + diameter * np.pi / 40_000


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_ridges_of_ties_are_climbed(seed):
    """With few points in space the maxima lie on ties, where gradients lead from side to side."""
    x, y = cloud(6, 3, seed), cloud(6, 3, seed + 10)
    assert found(x, y, seed=seed).distance >= along(x, y, directions(100_000, 3), 2.0).max()


@pytest.mark.parametrize("seed", [1, 2, 3, 4])
def test_nothing_near_what_is_found_is_better(seed):
    x, y = cloud(6, 3, seed), cloud(6, 3, seed + 10)
    got = found(x, y, seed=seed)
    for trial in range(3):
        random = np.random.default_rng(trial)
        near = search(lambda thetas: along(x, y, thetas, 2.0), got.direction, random)
        assert along(x, y, near[None], 2.0)[0] <= got.distance * (1 + 2e-5)


@pytest.mark.parametrize("p", [1.0, 1.5, 2.0, 3.0])
@pytest.mark.parametrize(("n", "d"), [(1, 3), (50, 2), (50, 7), (20, 60)])
def test_of_a_translation_it_is_the_shift(n, d, p):
    x, delta = cloud(n, d, 1), np.arange(1.0, d + 1)
    got = found(x, x + delta, p=p, n_projections=10)
    assert got.distance == pytest.approx(np.linalg.norm(delta), rel=1e-12)
    np.testing.assert_allclose(got.direction, delta / np.linalg.norm(delta), atol=1e-7)
    np.testing.assert_allclose(found(x + delta, x, p=p).direction, -got.direction, atol=1e-7)


def test_of_two_points_it_is_their_distance_and_known_to_be_the_maximum():
    got = found([[0.0, 0.0]], [[3.0, 4.0]])
    assert (got.distance, got.upper_bound, got.exact) == (pytest.approx(5, rel=1e-14), pytest.approx(5), True)
    assert "=" in str(got)
    assert ">=" not in str(got)


@pytest.mark.parametrize("factor", [0.2, 5.0])
def test_a_stretched_axis_is_found_among_many(factor):
    stretch = np.ones(100)
    stretch[30] = factor
    x = cloud(200, 100, 1) / np.linspace(0.5, 1.5, 100)
    got = found(x, x * stretch, n_projections=20)
    assert abs(got.direction[30]) > 0.99


@pytest.mark.parametrize("p", [1.0, 2.0, 3.0])
def test_on_a_line_it_is_the_distance_itself(p):
    x, y = cloud(9, 1, 1), cloud(7, 1, 2)
    got = found(x, y, p=p)
    assert got.power == pytest.approx(ot.emd2_1d(x[:, 0], y[:, 0], metric="minkowski", p=p), rel=1e-12)
    assert got.exact
    assert got.upper_bound == got.distance
    assert abs(got.direction[0]) == 1


@pytest.mark.parametrize("p", [1.0, 2.0])
@pytest.mark.parametrize("d", [2, 6])
def test_the_upper_bound_holds(d, p):
    for seed in range(5):
        got = found(cloud(20, d, seed), 3 * cloud(30, d, seed + 20, shift=0.5), p=p)
        assert got.best_random <= got.distance <= got.upper_bound
    assert found(cloud(20, d, 1), cloud(20, d, 2), p=3.0).upper_bound is None


@pytest.mark.parametrize("d", [1, 3])
def test_equal_measures_are_at_distance_zero(d):
    x = cloud(20, d, 1)
    got = found(x, x.copy())
    assert (got.distance, got.power, got.best_random) == (0.0, 0.0, 0.0)
    assert np.linalg.norm(got.direction) == pytest.approx(1)


@pytest.mark.parametrize("scale", [1e-150, 1e150])
def test_no_unit_of_the_points_changes_the_direction(scale):
    x, y = cloud(30, 4, 1), cloud(20, 4, 2)
    small, large = found(x, y), found(x * scale, y * scale)
    assert large.distance == pytest.approx(small.distance * scale, rel=1e-9)
    np.testing.assert_allclose(large.direction, small.direction, atol=1e-6)


def test_points_too_far_apart_for_their_squares_are_refused():
    with pytest.raises(InvalidSpec, match="too far apart"):
        found([[0.0, 0.0]], [[1e160, 0.0]])


def test_single_precision_finds_nearly_as_much():
    x, y = cloud(60, 6, 1), cloud(50, 6, 2)
    double, single = found(x, y), found(x, y, dtype="float32")
    assert single.distance == pytest.approx(double.distance, rel=1e-3)
    assert single.distance == pytest.approx(along(x, y, single.direction[None], 2.0)[0], rel=1e-6)


def test_more_random_directions_are_those_and_others():
    x, y = cloud(20, 8, 1), cloud(20, 8, 2)
    several = [found(x, y, n_projections=count, n_steps=1).best_random for count in (10, 100, 10_000)]
    assert several == sorted(several)


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("p", [1.5, 2.0, 3.0])
@pytest.mark.parametrize(("n", "m"), [(12, 12), (12, 17)])
def test_gradients_by_the_direction_are_those_of_finite_differences(n, m, p, weighted):
    x, y = cloud(n, 4, 1), cloud(m, 4, 2, shift=0.4)
    made = pair(Measure(x, weights(n, weighted)), Measure(y, weights(m, weighted)), p, DOUBLE)
    theta, step = directions(3, 4), 1e-6
    values, gradients = turning(made).slopes(theta, cpu())
    np.testing.assert_allclose(values * made.scale**p, costs([Slices(made, theta)], cpu())[0], rtol=1e-12)
    for axis in range(4):
        shift = step * np.eye(4)[axis]
        upper, lower = (turning(made).slopes(theta + sign * shift, cpu())[0] for sign in (1, -1))
        np.testing.assert_allclose(gradients[:, axis], (upper - lower) / (2 * step), atol=1e-6 * values.max())


@pytest.mark.parametrize("p", [1.0, 1.5, 2.0, 3.0])
def test_every_ascent_ends_on_a_maximum(p):
    """|theta . delta|^p of a translation has no other maxima than along delta."""
    x, delta, starts = cloud(12, 6, 1), np.arange(1.0, 7), directions(20, 6)
    made = pair(Measure(x), Measure(x + delta), p, DOUBLE)
    ends = ascend(turning(made), starts, 200, cpu(), lambda share: None)
    np.testing.assert_allclose(np.abs(ends @ delta), np.linalg.norm(delta), rtol=1e-12)


def test_an_ascent_never_loses():
    x, y, starts = cloud(30, 6, 1), cloud(25, 6, 2), directions(20, 6)
    made = pair(Measure(x), Measure(y), 2.0, DOUBLE)
    several = [along(x, y, ascend(turning(made), starts, n, cpu(), lambda share: None), 2.0) for n in (1, 5, 50)]
    before = along(x, y, starts, 2.0)
    assert all((one <= other * (1 + 1e-12)).all() for one, other in zip([before, *several], several, strict=False))
    assert (several[-1] > 1.2 * before).mean() > 0.5


def test_starts_are_not_near_each_other():
    near = np.array([[1.0, 0.0], [-1.0, 0.001], [0.999, 0.01], [0.0, 1.0], [0.7, 0.7]])
    near /= np.linalg.norm(near, axis=1, keepdims=True)
    chosen = separate(near, np.array([5.0, 9.0, 8.0, 1.0, 3.0]), 3)
    np.testing.assert_array_equal(chosen, near[[1, 4, 3]])


def test_a_search_goes_up_along_a_ridge():
    """Along x = y, where every gradient leads across."""
    start = np.array([0.6, 0.6, np.sqrt(0.28)])
    reached = search(lambda thetas: thetas[:, 2] - np.abs(thetas[:, 0] - thetas[:, 1]), start, np.random.default_rng(0))
    assert reached[2] > 0.999


def test_the_same_seed_gives_the_same_bits():
    x, y = cloud(20, 5, 1), cloud(30, 5, 2)
    np.testing.assert_array_equal(found(x, y, seed=3).direction, found(x, y, seed=3).direction)


def test_progress_ends_at_one_and_a_cancelled_job_stops():
    heard = []
    op.run([task(cloud(9, 3, 1), cloud(8, 3, 2), heard.append)], cpu())
    assert heard == sorted(heard)
    assert heard[-1] == 1.0

    def cancel(share):
        raise Cancelled

    with pytest.raises(Cancelled):
        op.run([task(cloud(9, 3, 1), cloud(8, 3, 2), cancel)], cpu())


def test_it_says_that_it_is_a_bound():
    text = str(found(cloud(9, 3, 1), cloud(8, 3, 2)))
    assert text.startswith("max-SW_2 >= ")
    assert ", <= " in text
    assert math.isfinite(float(text.split()[2].rstrip(",")))
