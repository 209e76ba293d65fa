import math
from fractions import Fraction

import numpy as np
import ot
import pytest
from scipy.special import gamma
from scipy.stats import wasserstein_distance

from gpu.ops import sliced_wasserstein as op
from gpu.sliced.work import Work
from gpu.task import Cancelled, Task
from mercer.errors import InvalidSpec, JobFailed
from mercer.specs import SlicedWasserstein
from tests.gpu.sliced.estimating import P_AND_METHODS, answers, cloud, cpu, estimate, task, units, weights

every_method = pytest.mark.parametrize(("p", "method"), P_AND_METHODS)


@pytest.mark.parametrize("p", [1.0, 1.5, 2.0, 3.0])
@pytest.mark.parametrize(("n", "m", "d", "weighted"), [(30, 30, 3, False), (30, 41, 5, False), (20, 33, 2, True)])
def test_it_is_pot_on_the_same_directions(n, m, d, weighted, p):
    x, y, rows = cloud(n, d), cloud(m, d, seed=1, shift=0.5, scale=2.0), units(60, d)
    a, b = (weights(n), weights(m)) if weighted else (None, None)
    given = {"x_weights": a, "y_weights": b} if weighted else {}
    ours = estimate(x, y, p=p, projections=rows, method="mc", per_slice=True, **given)
    theirs, log = ot.sliced_wasserstein_distance(x, y, a, b, projections=rows.T, p=p, log=True)
    np.testing.assert_allclose(ours.distance, theirs, rtol=1e-11)
    np.testing.assert_allclose(ours.costs, log["projected_emds"], rtol=1e-9)
    np.testing.assert_array_equal(ours.directions, rows / np.linalg.norm(rows, axis=1, keepdims=True))


@pytest.mark.parametrize("p", [1.0, 2.0, 2.5])
def test_the_slices_are_those_of_the_formula(p):
    x, y = cloud(12, 4), cloud(17, 4, seed=1)
    a = weights(12)[:, None]
    ours = estimate(x, y, p=p, x_weights=a, n_projections=30, method="mc", per_slice=True)
    given = task(x, y, p=p, x_weights=a)
    for theta, cost in zip(ours.directions, ours.costs, strict=True):
        np.testing.assert_allclose(cost, op.reference(given, theta), rtol=1e-12)


@pytest.mark.parametrize("method", ["auto", "exact"])
@pytest.mark.parametrize("weighted", [False, True])
def test_on_a_line_it_is_the_wasserstein_distance(method, weighted):
    x, y = cloud(31, 1), cloud(17, 1, seed=1, shift=1)
    given = {"x_weights": weights(31), "y_weights": weights(17)} if weighted else {}
    ours = estimate(x, y, p=1.0, method=method, **given)
    theirs = wasserstein_distance(x[:, 0], y[:, 0], *given.values())
    np.testing.assert_allclose(ours.distance, theirs, rtol=1e-12)
    assert (ours.power_error, ours.n_projections, ours.method) == (0.0, 1, "exact")
    if method == "auto":
        assert estimate(x, y, p=1.0, rel_tol=1e-9, max_projections=1, **given).distance == ours.distance


@every_method
def test_on_a_line_every_method_gives_the_same(p, method):
    x, y = cloud(10, 1), cloud(13, 1, seed=1, shift=1)
    np.testing.assert_allclose(
        estimate(x, y, p=p, method=method).power, estimate(x, y, p=p, method="exact").power, rtol=1e-12
    )


@pytest.mark.parametrize("d", [1, 2, 3, 7])
@every_method
def test_equal_measures_are_at_distance_zero_for_certain(p, method, d):
    x = cloud(20, d)
    n = 200 if method == "spherical_harmonics" else 50
    ours = estimate(x, x.copy(), p=p, method=method, n_projections=n)
    assert (ours.distance, ours.power, ours.power_error, ours.distance_error) == (0, 0, 0, 0)
    assert ours.interval == (0, 0)
    if p == 2:
        assert ours.gaussian_bound == ours.lower_bound == 0


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("method", ["auto", "mc", "lcv", "ucv", "centred", "gaussian_cv", "orthogonal", "moment"])
@pytest.mark.parametrize("d", [2, 3, 5])
def test_nothing_is_nan_where_measures_have_no_spread(d, method, weighted):
    """Two points: the covariances are 0, and a mean control tells all."""
    x, y = np.zeros((1, d)), np.full((1, d), 2.0)
    if weighted:
        x, y = np.repeat(x, 2, axis=0), np.repeat(y, 3, axis=0)
    given = {"x_weights": [1.0, 0.0], "y_weights": [0.5, 0.25, 0.25]} if weighted else {}
    ours = estimate(x, y, method=method, **given)
    assert all(np.isfinite(number) for number in (ours.power, ours.distance, *ours.interval))
    if method not in ("mc", "lcv", "ucv"):
        np.testing.assert_allclose(ours.power, 4.0, rtol=1e-12)


@pytest.mark.parametrize("method", ["centred", "gaussian_cv", "auto", "lebedev"])
def test_a_translation_costs_its_squared_length_over_d(method):
    x = cloud(50, 3)
    ours = estimate(x, x + [1.0, -2.0, 0.5], method=method)
    np.testing.assert_allclose(ours.power, (1 + 4 + 0.25) / 3, rtol=1e-13)
    assert ours.power_error < 1e-14


@pytest.mark.parametrize("p", [1.0, 3.0])
def test_a_translation_costs_the_moment_of_a_projection(p):
    """E |theta . delta|^p = |delta|^p Gamma(d / 2) Gamma((p + 1) / 2) / (sqrt(pi) Gamma((d + p) / 2))."""
    for d, method in ((2, "equispaced"), (3, "lebedev"), (6, "orthogonal")):
        x, delta = cloud(20, d), np.full(d, 0.7)
        ours = estimate(x, x + delta, p=p, method=method, n_projections=3_000)
        length = float(np.linalg.norm(delta))
        expected = length**p * gamma(d / 2) * gamma((p + 1) / 2) / (math.sqrt(math.pi) * gamma((d + p) / 2))
        assert abs(ours.power - expected) < 5 * ours.power_error
        assert ours.power_error < 0.02 * expected


def test_a_sample_and_its_double_cost_the_gaussian_formula():
    """W_2^2 = (s - 2 s)^2 = theta^T S theta on every slice, whose mean is the trace of S over d."""
    x = cloud(500, 4) * [1.0, 2.0, 0.5, 3.0]
    x -= x.mean(axis=0)
    ours = estimate(x, 2 * x)
    np.testing.assert_allclose(ours.power, (x**2).sum() / 500 / 4, rtol=1e-13)
    np.testing.assert_allclose(ours.gaussian_bound, ours.power, rtol=1e-13)


@pytest.mark.parametrize("dtype", [np.int8, np.uint8, np.int64, np.float16, np.float32])
def test_integers_and_half_floats_are_right(dtype):
    """POT gives 0 for integers, whose directions it rounds to integers."""
    random = np.random.default_rng(0)
    x, y = random.integers(0, 100, (30, 3)).astype(dtype), random.integers(20, 127, (30, 3)).astype(dtype)
    for method in ("auto", "ucv"):
        ours = estimate(x, y, method=method)
        assert ours.power == estimate(x.astype(float), y.astype(float), method=method).power > 0


@every_method
def test_float32_is_within_its_rounding_of_float64(p, method):
    x, y = cloud(40, 3), cloud(40, 3, seed=1, shift=1)
    single, double = (estimate(x, y, p=p, method=method, dtype=dtype).power for dtype in ("float32", "float64"))
    np.testing.assert_allclose(single, double, rtol=2e-6)


@pytest.mark.parametrize("offset", [1e4, 1e8])
@pytest.mark.parametrize("method", ["auto", "ucv", "gaussian_cv", "moment"])
def test_a_common_offset_changes_nothing(offset, method):
    random = np.random.default_rng(0)
    x, y = (random.integers(-8, 8, (20, 4)) * 0.5 for _ in range(2))
    np.testing.assert_allclose(
        estimate(x + offset, y + offset, method=method).power, estimate(x, y, method=method).power, rtol=1e-9
    )


@pytest.mark.parametrize("scale", [2.0**-200, 2.0**200])
def test_the_unit_of_length_changes_nothing(scale):
    x, y = cloud(20, 4), cloud(20, 4, seed=1)
    for method in ("auto", "orthogonal", "ucv", "spherical_harmonics"):
        if method == "ucv" and scale < 1:
            continue  # the paper's guard of 1e-24 is an absolute number
        small, large = (estimate(x * s, y * s, method=method) for s in (1.0, scale))
        np.testing.assert_allclose(large.distance, small.distance * scale, rtol=1e-9)
        np.testing.assert_allclose(large.distance_error, small.distance_error * scale, rtol=1e-6)


def test_costs_near_the_end_of_the_range_have_an_error_or_a_reason():
    x, y = cloud(20, 4) * 1e100, cloud(20, 4, seed=1) * 1e100
    ours, small = estimate(x, y, method="orthogonal"), estimate(x / 1e100, y / 1e100, method="orthogonal")
    np.testing.assert_allclose(ours.power_error / 1e200, small.power_error, rtol=1e-6)
    np.testing.assert_allclose(ours.n_effective, small.n_effective, rtol=1e-6)
    with pytest.raises(InvalidSpec, match="too far apart"), np.errstate(over="ignore", invalid="ignore"):
        estimate(x, y, method="ucv")


def test_a_seed_gives_the_same_bits_and_another_seed_others():
    x, y = cloud(20, 4), cloud(25, 4, seed=1)
    for method in ("mc", "auto", "gaussian_cv"):
        first, again, other = (estimate(x, y, method=method, seed=seed) for seed in (3, 3, 4))
        assert first == again
        assert first.power != other.power


def test_a_batch_gives_what_its_jobs_give_alone():
    tasks = [
        task(cloud(10 + n, 3), cloud(12, 3, seed=1), method=method, **options)
        for n, (method, options) in enumerate(
            [("auto", {}), ("mc", {"n_projections": 7}), ("ucv", {"rel_tol": 0.1}), ("auto", {"rel_tol": 0.01}),
             ("moment", {}), ("mc", {"projections": units(5, 3)})]
        )
    ]  # fmt: skip
    assert answers(tasks) == [answers([single])[0] for single in tasks]


def test_the_bounds_hold_and_the_estimate_lies_between_them():
    for seed in range(5):
        x, y = cloud(30, 6, seed=seed), cloud(20, 6, seed=seed + 10, shift=0.3, scale=1.7)
        ours = estimate(x, y, n_projections=600, x_weights=weights(30), seed=seed)
        slack = 4 * ours.power_error
        assert ours.lower_bound < ours.gaussian_bound < ours.power + slack
        assert ours.power < ours.upper_bound
        low, high = ours.power_interval
        assert low < ours.power < high


def test_the_bounds_are_those_of_exact_arithmetic():
    random = np.random.default_rng(0)
    x, y = random.integers(-9, 9, (7, 3)), random.integers(-9, 9, (5, 3))
    means = [[Fraction(int(column.sum()), len(column)) for column in points.T] for points in (x, y)]
    lower = sum((a - b) ** 2 for a, b in zip(*means, strict=True)) / 3
    variances = [
        sum((int(number) - mean) ** 2 for row in points for number, mean in zip(row, centre, strict=True)) / len(points)
        for points, centre in zip((x, y), means, strict=True)
    ]
    ours = estimate(x, y, method="moment")
    np.testing.assert_allclose(ours.lower_bound, float(lower), rtol=1e-14)
    np.testing.assert_allclose(ours.upper_bound, float(lower + sum(variances) / 3), rtol=1e-14)
    a, b = (math.sqrt(variance / 3) for variance in variances)
    np.testing.assert_allclose(ours.power, float(lower) + (a - b) ** 2, rtol=1e-14)
    assert ours.power_interval == (ours.lower_bound, ours.upper_bound)
    assert (ours.power_error, ours.n_projections) == (None, 0)


def test_a_slice_outside_its_bounds_is_an_error():
    x, y = cloud(10, 3), cloud(10, 3, seed=1)
    work = Work(task(x, y, method="mc"))
    rows = work.draw().directions
    with pytest.raises(ArithmeticError, match="outside its bounds"):
        work.take(np.full(len(rows), 1e3))
    with pytest.raises(ArithmeticError, match="outside its bounds"):
        work.take(np.zeros(len(rows)))


def test_an_estimate_below_its_bounds_is_moved_to_them_and_said_to_be():
    """Few slices, and a coefficient that shares them: the controlled estimate overshoots."""
    x, y = cloud(5, 3), cloud(5, 3, seed=100, shift=1.0)
    few, many = (estimate(x, y, method="ucv", n_projections=n) for n in (2, 1_000))
    assert few.clamped
    assert few.power == few.lower_bound
    assert not many.clamped
    assert many.lower_bound < many.power < many.upper_bound


def test_rounding_up_is_said():
    ours = estimate(cloud(9, 7), cloud(9, 7, seed=1), method="orthogonal", n_projections=15)
    assert (ours.n_projections, ours.n_replicates) == (21, 3)


def test_one_direction_has_no_error_and_no_interval_but_the_bounds():
    x, y = cloud(9, 3), cloud(9, 3, seed=1)
    ours = estimate(x, y, method="mc", n_projections=1)
    assert (ours.power_error, ours.distance_error, ours.n_effective) == (None, None, None)
    assert ours.power_interval == (min(ours.lower_bound, ours.power), max(ours.upper_bound, ours.power))
    assert estimate(x, y, method="mc", p=1.0, n_projections=1).interval is None


@pytest.mark.parametrize(
    ("d", "p", "n", "expected"),
    [
        (1, 2.0, 10, "exact"), (2, 1.0, 100, "equispaced"), (3, 3.0, 100, "lebedev"),
        (4, 2.0, 100, "orthogonal_gaussian_cv"), (4, 1.0, 100, "orthogonal"),
        (20, 2.0, 100, "gaussian_cv"), (20, 1.0, 100, "mc"), (20, 2.0, 160, "orthogonal_gaussian_cv"),
    ],
)  # fmt: skip
def test_auto_chooses_by_dimension_order_and_number(d, p, n, expected):
    ours = estimate(cloud(9, d), cloud(8, d, seed=1), p=p, n_projections=n)
    assert ours.method == expected
    assert ours.reason != "as asked for"


@pytest.mark.parametrize("method", ["mc", "orthogonal", "spiral", "lebedev"])
def test_slices_times_their_weights_are_the_plain_mean(method):
    ours = estimate(cloud(9, 3), cloud(8, 3, seed=1), method=method, n_projections=60, per_slice=True)
    assert ours.slice_weights @ ours.costs == pytest.approx(ours.power, rel=1e-12)
    assert ours._replicate_means().mean() == pytest.approx(ours.power, rel=1e-12)


def test_directions_that_are_drawn_in_pieces_are_as_many(monkeypatch):
    monkeypatch.setattr("gpu.sliced.work.PIECE_NUMBERS", 64)
    x, y = cloud(9, 4), cloud(8, 4, seed=1)
    for method, n in (("mc", 70), ("orthogonal_gaussian_cv", 72)):
        name = "auto" if method.startswith("orth") else method
        ours = estimate(x, y, method=name, n_projections=n, per_slice=True)
        assert len(ours.costs) == ours.n_projections == n
        assert len(np.unique(ours.directions, axis=0)) == n


def test_progress_rises_to_one_and_cancelling_leaves_at_once(monkeypatch):
    monkeypatch.setattr("gpu.sliced.work.PIECE_NUMBERS", 64)
    told = []
    job = task(cloud(9, 4), cloud(8, 4, seed=1), method="mc", n_projections=100)
    op.run([Task(job.spec, job.arrays, told.append)], cpu())
    assert told == sorted(told)
    assert told[-1] == 1

    def cancel(share):
        raise Cancelled

    with pytest.raises(Cancelled):
        op.run([Task(job.spec, job.arrays, cancel)], cpu())


def test_directions_of_a_data_set_that_are_not_unit_fail_with_their_field():
    x, y = cloud(9, 4), cloud(8, 4, seed=1)
    job = task(x, y, projections=units(3, 4), method="mc")
    broken = job.arrays | {"projections": 2 * units(3, 4)}
    with pytest.raises(InvalidSpec) as refusal:
        op.run([Task(job.spec, broken)], cpu())
    assert [error.pointer for error in refusal.value.errors] == ["/projections"]


def test_weights_of_a_data_set_that_do_not_sum_to_one_fail_with_their_field():
    job = task(cloud(3, 2), cloud(3, 2), x_weights=[0.5, 0.25, 0.25])
    with pytest.raises(InvalidSpec) as refusal:
        op.run([Task(job.spec, job.arrays | {"x_weights": np.ones((3, 1))})], cpu())
    assert [error.pointer for error in refusal.value.errors] == ["/x_weights"]


def test_normalize_takes_any_sum():
    x, y, a = cloud(9, 3), cloud(8, 3, seed=1), weights(9)
    assert estimate(x, y, x_weights=a * 7, normalize=True).power == pytest.approx(estimate(x, y, x_weights=a).power)


def test_a_tolerance_that_the_limit_cannot_meet_fails_with_the_estimate():
    x, y = cloud(30, 5), cloud(30, 5, seed=1)
    with pytest.raises(JobFailed) as failure:
        estimate(x, y, method="mc", rel_tol=1e-4, max_projections=1_000)
    [error] = failure.value.errors
    assert error.pointer == "/rel_tol"
    truth = estimate(x, y, n_projections=2_000).power
    said = float(error.detail.partition("SW_p^p = ")[2].split(" ")[0])
    assert said == pytest.approx(truth, rel=0.2)
    with pytest.raises(JobFailed, match="not even the first round"):
        estimate(x, y, method="orthogonal", rel_tol=0.1, max_projections=9)


def test_the_interval_of_a_tolerance_is_within_it():
    for d in (2, 3, 5):
        x, y = cloud(30, d), cloud(25, d, seed=1, shift=0.4)
        ours = estimate(x, y, rel_tol=0.004)
        low, high = ours.power_interval
        assert max(high - ours.power, ours.power - low) <= 0.004 * ours.power * (1 + 1e-12)
        np.testing.assert_allclose(ours.power, estimate(x, y, n_projections=5_000).power, rtol=0.004)


def test_the_spec_of_a_job_is_never_changed():
    spec = SlicedWasserstein(x=cloud(3, 2), y=cloud(3, 2))
    before = spec.model_dump_json()
    op.run([Task(spec, spec.arrays())], cpu())
    assert spec.model_dump_json() == before
