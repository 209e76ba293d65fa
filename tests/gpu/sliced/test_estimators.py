import numpy as np
import pytest
from scipy import stats

from gpu.sliced.directions import directions, given, joined, stream
from gpu.sliced.estimators import Mean, least_squares, n_effective, of_replicates, paper, with_known
from gpu.sliced.intervals import around, half_width, root, root_error


def slices(n, q=1, seed=0, noise=1.0):
    """Costs that depend on controls of known mean 0."""
    random = np.random.default_rng(seed)
    controls = random.normal(size=(n, q))
    return 5 + controls @ np.arange(1, q + 1) + noise * random.normal(size=n), controls


def test_single_draws_have_the_error_of_a_mean():
    costs, _ = slices(40)
    mean = of_replicates(costs, given(np.ones((40, 1))))
    np.testing.assert_allclose(mean.value, costs.mean(), rtol=1e-15)
    np.testing.assert_allclose(mean.error, stats.sem(costs), rtol=1e-13)
    assert mean.freedom == 39


def test_replicates_have_the_error_of_their_means():
    drawn = directions("lebedev", 3, 220, stream(0))
    costs = (drawn.rows[:, 0] ** 20).astype(float)
    blocks = [drawn.replicates * drawn.weights[part] @ costs[part] for part in np.split(np.arange(220), 4)]
    mean = of_replicates(costs, drawn)
    np.testing.assert_allclose(mean.value, drawn.weights @ costs, rtol=1e-13)
    np.testing.assert_allclose(mean.error, stats.sem(blocks), rtol=1e-9)
    assert mean.freedom == 3


def test_the_papers_coefficient_is_that_of_its_formula():
    """Every step of Nguyen and Ho's algorithm, as it is written."""
    costs, controls = slices(30)
    control, known = controls[:, 0] ** 2, 1.0
    difference = [c - known for c in control]
    plain = sum(costs) / 30
    covariance = sum((w - plain) * d for w, d in zip(costs, difference, strict=True)) / 30
    coefficient = covariance / (sum(d * d for d in difference) / 30 + 1e-24)
    expected = plain - coefficient * sum(difference) / 30
    np.testing.assert_allclose(paper(costs, control, known).value, expected, rtol=1e-14)


def test_the_papers_coefficient_of_a_control_of_zero_leaves_the_mean():
    costs, _ = slices(10)
    assert paper(costs, np.zeros(10), 0.0).value == costs.mean()


@pytest.mark.parametrize("q", [1, 3, 8])
def test_least_squares_is_the_intercept_of_a_regression(q):
    costs, controls = slices(60, q)
    known = np.full(q, 0.1)
    design = np.column_stack([np.ones(60), controls - known])
    coefficients, residual, *_ = np.linalg.lstsq(design, costs, rcond=None)
    error = np.sqrt(residual[0] / (60 - q - 1) * np.linalg.inv(design.T @ design)[0, 0])
    mean = least_squares(costs, controls, known)
    np.testing.assert_allclose([mean.value, mean.error], [coefficients[0], error], rtol=1e-10)
    assert mean.freedom == 60 - q - 1


def test_a_control_that_tells_all_leaves_no_error_with_an_intercept_and_some_with_the_papers():
    costs, controls = slices(25, noise=0.0)
    exact, rough = least_squares(costs, controls, np.zeros(1)), paper(costs, controls[:, 0], 0.0)
    np.testing.assert_allclose(exact.value, 5, rtol=1e-14)
    assert exact.error < 1e-14
    assert abs(rough.value - 5) > 1e-4
    assert rough.error > 1e-4


def test_controls_that_only_vary_by_rounding_are_left_out():
    costs, controls = slices(30)
    constant = np.full((30, 1), 3.0)
    constant[::2] += 4e-16
    both = least_squares(costs, np.hstack([controls, constant]), np.array([0.0, 2.0]))
    assert both == least_squares(costs, controls, np.zeros(1))


@pytest.mark.parametrize("q", [1, 4])
def test_the_errors_of_regressions_are_those_of_their_spread(q):
    """Over 2,000 seeds the estimate's deviation in units of its error is Student's t."""
    found = [least_squares(*slices(20, q, seed), np.zeros(q)) for seed in range(2_000)]
    deviations = [(mean.value - 5) / mean.error for mean in found]
    assert stats.kstest(deviations, stats.t(20 - q - 1).cdf).pvalue > 1e-4


def test_what_is_known_is_added_with_its_own_error():
    assert with_known(Mean(1.0, 3.0, 7), 2.0, 4.0) == Mean(3.0, 5.0, 7)
    assert with_known(Mean(1.0, None, 0), 2.0, 4.0) == Mean(3.0, None, 0)


def test_plain_draws_are_worth_their_number():
    costs, _ = slices(50)
    drawn = given(np.ones((50, 1)))
    np.testing.assert_allclose(n_effective(costs, drawn, of_replicates(costs, drawn).error), 50, rtol=1e-12)
    assert n_effective(np.zeros(50), drawn, 0.0) is None
    assert n_effective(costs[:1], given(np.ones((1, 1))), None) is None


def test_joined_replicates_are_as_if_they_had_been_drawn_together():
    rng = stream(0)
    parts = [directions("orthogonal", 4, n, rng) for n in (8, 20)]
    together = joined(parts)
    np.testing.assert_allclose(together.weights.sum(), 1, rtol=1e-14)
    assert (together.replicates, together.rows.shape) == (7, (28, 4))
    means = [part.means(part.rows[:, 0] ** 4) for part in parts]
    np.testing.assert_allclose(together.means(together.rows[:, 0] ** 4), np.concatenate(means), rtol=1e-13)


@pytest.mark.parametrize(("freedom", "alpha"), [(1, 0.05), (3, 0.05), (99, 0.05), (7, 0.0125)])
def test_intervals_have_students_quantile(freedom, alpha):
    expected = 2 * stats.t(freedom).ppf(1 - alpha / 2)
    np.testing.assert_allclose(half_width(Mean(1.0, 2.0, freedom), alpha), expected, rtol=1e-9)


@pytest.mark.parametrize(("turns", "alpha"), [(4, 0.05), (4, 0.0125), (8, 0.05), (8, 0.025)])
def test_intervals_of_shifted_grids_hold_the_integral_of_a_function_with_a_kink(turns, alpha):
    """t (1 - t), whose kink is where the circle closes; 20,000 times so many grids of 25 steps."""
    grids = (np.arange(25) + stream(0).random((20_000, turns, 1))) / 25
    found = (grids * (1 - grids)).mean(axis=2)
    widths = [half_width(Mean(0.0, float(error), turns - 1, shifted=True), alpha) for error in stats.sem(found, axis=1)]
    missed = (np.abs(found.mean(axis=1) - 1 / 6) > widths).sum()
    assert stats.binomtest(int(missed), 20_000, alpha).pvalue > 1e-4


def test_an_error_of_zero_or_none_has_no_quantile():
    assert half_width(Mean(1.0, 0.0, 0)) == 0
    assert half_width(Mean(1.0, None, 0)) is None


def test_intervals_are_cut_to_what_is_certain_and_have_monotone_roots():
    assert around(1.0, 2.0, (0.0, 2.5)) == (0.0, 2.5)
    assert around(1.0, 0.5, (0.0, np.inf)) == (0.5, 1.5)
    assert root((4.0, 9.0), 2.0) == (2.0, 3.0)


def test_the_error_of_a_root_is_by_the_delta_method_where_the_estimate_is_beyond_its_noise():
    np.testing.assert_allclose(root_error(8.0, 0.3, 3.0), 0.3 / (3 * 4), rtol=1e-14)
    assert root_error(0.2, 0.3, 2.0) is None
    assert root_error(0.0, 0.0, 2.0) == 0
    assert root_error(1.0, None, 2.0) is None
