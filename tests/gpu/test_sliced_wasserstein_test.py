"""The permutation test against POT, the enumeration of all divisions, and the laws of p-values."""

from functools import cache
from itertools import combinations

import numpy as np
import ot
import pytest
from scipy.stats import kstest

from gpu.device import Device
from gpu.ops import sliced_wasserstein_test as op
from gpu.sliced.divisions import drawn, pool
from gpu.task import Cancelled, Task
from mercer.specs import SlicedWassersteinTest

DOUBLE = np.dtype(np.float64)
TOLERANCE = {"float32": 1e-6, "float64": 1e-12}


@cache
def cpu():
    return Device("cpu")


def sample(n, d, seed, shift=0.0):
    return np.random.default_rng([seed, n, d]).normal(size=(n, d)) + shift


def task(x, y, report=lambda share: None, **options):
    spec = SlicedWassersteinTest(x=x, y=y, **options)
    return Task(spec, spec.arrays(), report)


def verdict(x, y, **options):
    (answer,) = op.run([task(x, y, **options)], cpu())
    return SlicedWassersteinTest.answer(answer.array(), answer.facts)


def pots(x, y, spec):
    """1/L sum_l W_p^p of each slice, along the job's directions."""
    return ot.sliced_wasserstein_distance(x, y, p=spec.p, projections=op.lines(spec, x.shape[1]).T) ** spec.p


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("p", [1.0, 1.5, 2.0, 3.0])
@pytest.mark.parametrize(("n", "m", "d"), [(30, 30, 3), (30, 21, 2), (12, 31, 40), (9, 14, 1), (1, 1, 2), (1, 5, 3)])
def test_observed_and_permuted_statistics_are_pots_of_the_divided_points(n, m, d, p, dtype):
    x, y = sample(n, d, 1), sample(m, d, 2, shift=0.5)
    options = {"p": p, "n_projections": 12, "n_permutations": 20, "dtype": dtype}
    spec, got = SlicedWassersteinTest(x=x, y=y, **options), verdict(x, y, **options)
    assert got.statistic == pytest.approx(pots(x, y, spec), rel=max(TOLERANCE[dtype], 1e-9))
    made = pool(x, y, p, DOUBLE)
    points = np.array(sorted(np.concatenate([x, y]).tolist()))
    divisions = np.concatenate([drawn(made, 0, 0, 16), drawn(made, 0, 1, 4)])
    expected = [pots(points[division == 1], points[division == 0], spec) for division in divisions]
    np.testing.assert_allclose(got.permuted, expected, rtol=max(TOLERANCE[dtype], 1e-9))


@pytest.mark.parametrize("p", [1.0, 2.0, 2.5])
@pytest.mark.parametrize(("n", "m"), [(20, 20), (20, 33)])
def test_what_is_computed_is_the_formula(n, m, p):
    given = task(sample(n, 3, 1), sample(m, 3, 2), p=p, n_permutations=40)
    (answer,) = op.run([given], cpu())
    np.testing.assert_allclose(answer.array(), op.reference(given.spec, given.arrays), rtol=1e-12)


@pytest.mark.parametrize(("n", "m", "d", "p"), [(12, 12, 2, 2.0), (9, 17, 3, 1.0), (8, 20, 1, 1.5)])
def test_p_values_are_uniform_where_both_samples_are_of_one_distribution(n, m, d, p):
    p_values = []
    for seed in range(150):
        x, y = sample(n, d, [seed, 1]), sample(m, d, [seed, 2])
        p_values.append(verdict(x, y, p=p, n_projections=10, n_permutations=99, seed=seed).p_value)
    spread = np.random.default_rng(0).uniform(size=len(p_values)) / 100  # p-values are multiples of 1 / 100
    assert kstest(np.array(p_values) - spread, "uniform").pvalue > 0.05


@pytest.mark.parametrize("method", ["auto", "mc", "orthogonal"])
def test_a_shift_is_found(method):
    got = verdict(sample(60, 5, 1), sample(50, 5, 2, shift=1.0), method=method)
    assert got.p_value == 1 / 1000
    assert got.statistic > got.permuted.max()


def test_another_shape_of_equal_mean_is_found():
    assert verdict(sample(200, 2, 1), 2 * sample(150, 2, 2), n_permutations=99).p_value == 1 / 100


@pytest.mark.parametrize("p", [1.0, 2.0])
@pytest.mark.parametrize("points", [sample(8, 2, 3), np.random.default_rng(2).integers(0, 3, size=(8, 2))])
@pytest.mark.parametrize("n", [3, 4])
def test_p_values_are_those_of_all_divisions(points, n, p):
    """With points on a grid many divisions tie, and a tie counts as reached."""
    x, y = points[:n], points[n:]
    spec = SlicedWassersteinTest(x=x, y=y, p=p, n_projections=6, n_permutations=5000)
    got = verdict(x, y, p=p, n_projections=6, n_permutations=5000)
    several = []
    for chosen in combinations(range(8), n):
        rest = [index for index in range(8) if index not in chosen]
        several.append(pots(points[list(chosen)].astype(float), points[rest].astype(float), spec))
    exact = np.mean(np.array(several) >= got.statistic * (1 - 1e-9))
    assert got.p_value == pytest.approx(exact, abs=4 * got.standard_error + 1 / 5000)


def test_the_standard_error_is_that_of_repeated_permutations():
    x, y = sample(20, 1, 1), sample(20, 1, 2, shift=0.4)  # on a line only the permutations change with the seed
    got = [verdict(x, y, n_permutations=99, seed=seed) for seed in range(300)]
    assert np.std([run.p_value for run in got]) == pytest.approx(np.mean([run.standard_error for run in got]), rel=0.15)


@pytest.mark.parametrize(("n", "m"), [(25, 25), (25, 40)])
def test_the_order_of_samples_and_points_does_not_matter(n, m):
    x, y = sample(n, 3, 1), sample(m, 3, 2, shift=0.2)
    y[:5] = x[:5]  # equal points on both sides
    got = verdict(x, y)
    for other in (verdict(y, x), verdict(x[::-1], np.roll(y, 7, axis=0))):
        np.testing.assert_array_equal(other.permuted, got.permuted)
        assert (other.p_value, other.statistic) == (got.p_value, got.statistic)


def test_equal_samples_are_at_distance_zero_and_never_rejected():
    x = sample(300, 7, 1)
    for other in (x, x[::-1]):
        got = verdict(x, other, n_permutations=99)
        assert (got.statistic, got.p_value, got.standard_error) == (0.0, 1.0, 0.0)
    got = verdict(np.ones((4, 2)), np.ones((6, 2)), n_permutations=9)
    assert (got.p_value, got.permuted.tolist()) == (1.0, [0.0] * 9)


@pytest.mark.parametrize(("factor", "shift"), [(1.0, 2.0**30), (8.0, 0.0), (3e9, 0.0), (1e-100, 0.0)])
def test_no_shift_and_no_unit_of_the_points_changes_the_p_value(factor, shift):
    x, y = (np.round(points * 2**20) / 2**20 for points in (sample(30, 3, 1), sample(20, 3, 2)))
    here, there = verdict(x, y), verdict(x * factor + shift, y * factor + shift)
    np.testing.assert_allclose(there.permuted, here.permuted * factor**2, rtol=1e-12)
    assert there.p_value == here.p_value


def test_whole_numbers_and_halves_are_taken_as_they_are():
    x, y = np.random.default_rng(1).integers(-5, 6, size=(2, 20, 3))
    expected = verdict(x.astype(float), y.astype(float), n_permutations=19)
    for dtype in (np.int16, np.float16, np.float32):
        got = verdict(x.astype(dtype), y.astype(dtype), n_permutations=19)
        np.testing.assert_array_equal(got.permuted, expected.permuted)


def test_one_dimension_takes_one_direction():
    assert verdict(sample(5, 1, 1), sample(6, 1, 2), n_projections=50).n_projections == 1
    assert verdict(sample(5, 2, 1), sample(6, 2, 2), n_projections=50).n_projections == 50


def test_the_same_seed_gives_the_same_bits_and_another_seed_others():
    x, y = sample(20, 3, 1), sample(20, 3, 2)
    np.testing.assert_array_equal(verdict(x, y, seed=5).permuted, verdict(x, y, seed=5).permuted)
    assert (verdict(x, y, seed=5).permuted != verdict(x, y, seed=6).permuted).any()


def test_lines_are_computed_some_at_a_time(monkeypatch):
    x, y = sample(40, 3, 1), sample(30, 3, 2)
    expected = verdict(x, y)
    monkeypatch.setattr(op, "WORKING_BYTES", 7 * 70 * op.BYTES_PER_PROJECTION)
    np.testing.assert_allclose(verdict(x, y).permuted, expected.permuted, rtol=1e-13)


def test_progress_ends_at_one_and_a_cancelled_test_stops():
    heard = []
    op.run([task(sample(40, 3, 1), sample(30, 3, 2), heard.append)], cpu())
    assert heard == sorted(heard)
    assert heard[-1] == pytest.approx(1)
    assert len(heard) > 20

    def cancel(share):
        raise Cancelled

    with pytest.raises(Cancelled):
        op.run([task(sample(40, 3, 1), sample(30, 3, 2), cancel)], cpu())
