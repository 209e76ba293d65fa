"""The gradient flow: against its formula and against steps made by hand, and where it ends."""

from functools import cache, partial
from typing import get_args

import numpy as np
import ot
import pytest

from benchmarks.clouds import pairs
from gpu.device import Device
from gpu.ops import sliced_wasserstein_flow as op
from gpu.sliced.assignment import squared_w2
from gpu.task import Cancelled, Task
from mercer.errors import InvalidSpec
from mercer.specs import SlicedWassersteinFlow
from mercer.specs.sliced_wasserstein_flow import ONLY_FOR, Method

METHODS = get_args(Method)
VARIANTS = [*((method, {}) for method in METHODS), ("lcv", {"intercept": True}), ("ucv", {"intercept": True})]


@cache
def cpu():
    return Device("cpu")


def cloud(n, d, seed):
    return np.random.default_rng([seed, n, d]).normal(size=(n, d)) * (1 + seed) + 2 * seed


def task(x, y, report=lambda fraction: None, **options):
    spec = SlicedWassersteinFlow(x=x, y=y, **options)
    return Task(spec, spec.arrays(), report)


def flow(x, y, **options):
    """What the job answers."""
    job = task(x, y, **options)
    (answer,) = op.run([job], cpu())
    return job.spec.answer(answer.array(), answer.facts)


def of_pot(x, y, thetas):
    return np.array([ot.wasserstein_1d(x @ theta, y @ theta, p=2) for theta in thetas])


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("loss", ["squared", "rooted"])
@pytest.mark.parametrize(("method", "variant"), VARIANTS)
def test_the_flow_is_the_formula(method, variant, loss, weighted):
    d = ONLY_FOR.get(method, 3)
    x, y = cloud(6, d, 0), cloud(8 if weighted else 6, d, 1)
    options = {"method": method, "loss": loss, "n_projections": 7, "n_steps": 4, "snapshots": 2, "step_size": 0.2}
    options |= variant
    if weighted:
        options |= {"x_weights": np.arange(1.0, 7.0), "y_weights": np.arange(8.0), "normalize": True}
    expected = op.reference((job := task(x, y, **options)).spec, job.arrays)
    np.testing.assert_allclose(flow(x, y, **options).points, expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize(("loss", "step_size"), [("squared", 0.5), ("rooted", 0.1)])
def test_a_step_is_the_step_made_by_hand(loss, step_size):
    x, y = cloud(5, 3, 0), cloud(5, 3, 1)
    moved = flow(x, y, method="mc", loss=loss, step_size=step_size, n_projections=4, n_steps=1)
    thetas = op.directions_of(task(x, y, method="mc", n_projections=4).spec, 3, 0).rows
    gradient, squares = np.zeros_like(x), 0.0
    for theta in thetas:
        u, v = x @ theta, np.sort(y @ theta)
        difference = u - v[np.argsort(np.argsort(u))]
        squares += (difference**2).mean() / 4
        gradient += 2 / 5 * np.outer(difference, theta) / 4
    if loss == "rooted":  # 5 SW_2
        by_hand = x - step_size * 5 * gradient / (2 * squares**0.5)
    else:  # half of the Newton step, whose second derivative is 2 / (5 d)
        by_hand = x - step_size * gradient / (2 / (5 * 3))
    np.testing.assert_allclose(moved.points[0], by_hand, rtol=1e-12)


@pytest.mark.parametrize(("method", "variant"), VARIANTS)
def test_a_small_cloud_reaches_its_target(method, variant):
    d = ONLY_FOR.get(method, 3)
    x, y = cloud(8, d, 0), cloud(8, d, 1)
    arrived = flow(x, y, method=method, n_projections=20, n_steps=600, step_size=0.3, exact_w2=True, **variant)
    assert arrived.exact_w2_squared[0] < 1e-6 * squared_w2(x, y)
    assert abs(arrived.estimates[0]) < 1e-6 * squared_w2(x, y)


def test_on_a_line_one_whole_step_arrives():
    x, y = cloud(9, 1, 0), cloud(9, 1, 1)
    arrived = flow(x, y, method="mc", n_projections=1, n_steps=1, step_size=1.0)
    np.testing.assert_allclose(np.sort(arrived.points[0], axis=0), np.sort(y, axis=0), rtol=1e-12)


def test_more_points_on_a_line_share_those_of_the_target():
    """Each takes the mean of the target's quantile function over its own share of the mass."""
    arrived = flow(np.array([[0.0], [1.0]]), np.array([[5.0], [6.0], [10.0]]), n_steps=1, step_size=1.0, method="mc")
    np.testing.assert_allclose(arrived.points[0], [[(5 + 6 / 2) / 1.5], [(6 / 2 + 10) / 1.5]], rtol=1e-12)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_same_seed_gives_the_same_bits_and_another_seed_others(method, dtype):
    d = ONLY_FOR.get(method, 3)
    move = partial(flow, cloud(30, d, 0), cloud(20, d, 1), method=method, dtype=dtype, n_steps=3)
    np.testing.assert_array_equal(move(seed=5).points, move(seed=5).points, strict=True)
    assert (move(seed=5).points != move(seed=6).points).any()
    assert move(seed=5).points.dtype == dtype


def test_float32_is_the_same_flow_to_its_precision():
    x, y = cloud(40, 3, 0), cloud(40, 3, 1)
    single, double = (flow(x, y, n_steps=5, dtype=dtype).points for dtype in ("float32", "float64"))
    np.testing.assert_allclose(single, double, atol=5e-6 * np.abs(double).max())


def test_snapshots_are_evenly_spread_and_do_not_change_the_way():
    x, y = cloud(6, 3, 0), cloud(6, 3, 1)
    several, end = flow(x, y, n_steps=10, snapshots=4, exact_w2=True), flow(x, y, n_steps=10)
    assert several.steps == (2, 5, 8, 10)
    np.testing.assert_array_equal(several.points[-1], end.points[0])
    assert several.exact_w2_squared == tuple(squared_w2(points, y) for points in several.points)
    np.testing.assert_array_equal(several.points[1], flow(x, y, n_steps=5).points[0])


def test_estimates_are_of_the_snapshots():
    x, y = cloud(6, 3, 0), cloud(6, 3, 1)
    got = flow(x, y, method="mc", n_steps=2, snapshots=2)
    for step, points, estimate in zip(got.steps, got.points, got.estimates, strict=True):
        thetas = op.directions_of(task(x, y, method="mc").spec, 3, step).rows
        assert estimate == pytest.approx(of_pot(points, y, thetas).mean(), rel=1e-12)


def test_the_exact_distance_is_that_of_pot():
    x, y = cloud(30, 3, 0), cloud(30, 3, 1)
    assert squared_w2(x, y) == pytest.approx(ot.emd2([], [], ot.dist(x, y)), rel=1e-12)


def left(method, x, y, seeds=4):
    """W_2^2 after equally many steps, on average."""
    options = {"method": method, "loss": "rooted", "n_steps": 150, "step_size": 0.1, "exact_w2": True}
    return np.mean([flow(x, y, seed=seed, **options).exact_w2_squared[0] for seed in range(seeds)])


def test_centring_comes_closer_than_control_variates_and_they_than_none():
    """The order of the paper's experiment on real clouds, as `python -m benchmarks.sliced_flow` has it at full size."""
    random = np.random.default_rng(0)
    x, y = (random.permutation(points)[:60] for points in pairs()["airplane-ant"][:2])
    mc, lcv, ucv, centred = (left(method, 2 * x - 10, 2 * y + 10) for method in ("mc", "lcv", "ucv", "centred"))
    assert centred < min(lcv, ucv)
    assert max(lcv, ucv) < mc
    assert lcv == pytest.approx(ucv, rel=0.01)


def test_where_the_control_overshoots_the_root_is_taken_of_the_plain_estimate():
    """A line through two slices may leave them far behind."""
    x, y = cloud(8, 3, 0), cloud(8, 3, 1)
    options = {"method": "ucv", "intercept": True, "loss": "rooted", "n_projections": 2, "n_steps": 20}
    got = flow(x, y, **options)
    assert 0 < got.plain_steps < 20
    expected = op.reference((job := task(x, y, **options)).spec, job.arrays)
    np.testing.assert_allclose(got.points, expected, rtol=1e-9)


def test_a_cloud_at_its_target_stays():
    x = cloud(8, 3, 0)
    got = flow(x, x, loss="rooted", n_steps=3, method="mc")
    np.testing.assert_array_equal(got.points[0], x)


def test_a_step_size_that_does_not_overshoot_is_chosen():
    x, y = cloud(40, 12, 0), cloud(40, 12, 1)
    got = flow(x, y, n_projections=3, n_steps=200, snapshots=2)
    assert got.step_size == pytest.approx((1 + 4**0.5) ** -2)
    assert got.estimates[1] < got.estimates[0] < np.square(x - y).sum(axis=1).mean()
    assert flow(x, y, loss="rooted", n_steps=1).step_size == 0.01


def test_points_that_run_away_are_refused_with_the_reason():
    with pytest.raises(InvalidSpec, match="too far") as refusal:
        flow(cloud(5, 3, 0), cloud(5, 3, 1), step_size=1e9, n_steps=100)
    assert refusal.value.errors[0].pointer == "/step_size"


def test_a_flow_reports_its_progress_and_stops_when_it_is_cancelled():
    told = []

    def report(fraction):
        told.append(fraction)
        if fraction >= 0.5:
            raise Cancelled

    with pytest.raises(Cancelled):
        op.run([task(cloud(5, 3, 0), cloud(5, 3, 1), report, n_steps=100)], cpu())
    assert len(told) == 52
    assert told == sorted(told)


def test_the_answer_prints_as_a_table_and_has_a_picture(tmp_path):
    pytest.importorskip("matplotlib")
    got = flow(cloud(6, 2, 0), cloud(6, 2, 1), n_steps=4, snapshots=2, exact_w2=True)
    assert str(got).splitlines()[1].split() == ["step", "SW_2^2", "W_2^2"]
    assert len(str(got).splitlines()) == 4
    assert got.plot(tmp_path / "flow.png", target=cloud(6, 2, 1)).stat().st_size > 1_000
