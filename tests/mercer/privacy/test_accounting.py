"""What a budget admits, against sums of exact fractions and the privacy loss distributions of dp-accounting."""

import math
from fractions import Fraction

import mpmath as mp
import pytest
from dp_accounting.pld import privacy_loss_distribution as pld
from hypothesis import given
from hypothesis import strategies as st

from mercer.privacy import Budget, Loss, sigma
from mercer.privacy.accounting import EPSILON_UNIT, MU2_UNIT

EPSILONS = st.floats(1e-6, 20)
DELTAS = st.floats(1e-15, 1e-3)
EVENTS = st.one_of(st.builds(Loss.pure, st.floats(0.001, 3)), st.builds(Loss.gaussian, st.floats(0.5, 100)))


def together(loss, times):
    return sum([loss] * times, start=Loss())


def test_ten_tenths_fit_into_one_and_eleven_never():
    budget = Budget.of(1.0)
    assert budget.admits(together(Loss.pure(0.1), 10))
    assert not budget.admits(together(Loss.pure(0.1), 11))
    assert not budget.admits(together(Loss.pure(0.1), 10) + Loss.pure(1e-6))


@pytest.mark.parametrize(("eps", "expected"), [(1.0, 4.2247), (0.1, 36.305)])
def test_the_published_noise_multipliers(eps, expected):
    assert sigma(eps, 1e-6) == pytest.approx(expected, rel=2e-5)


def test_ten_gaussian_releases_report_what_their_composition_costs():
    spent = together(Loss.gaussian(sigma(1.0, 1e-6)), 10)
    assert spent.epsilon_at(1e-6) == pytest.approx(3.525, abs=5e-4)


@given(EPSILONS, DELTAS)
def test_noise_of_a_budget_fits_into_it_once_and_not_twice(eps, delta):
    budget = Budget.of(eps, delta)
    if budget.mu2:
        loss = Loss.gaussian(sigma(eps, delta))
        assert budget.admits(loss)
        assert not budget.admits(loss + loss)


@given(st.integers(1, 10**6), DELTAS, st.integers(1, 2**40))
def test_noise_scaled_to_any_sensitivity_costs_no_more(micros, delta, sensitivity):
    budget = Budget.of(Fraction(micros, 10**6), delta)
    if budget.mu2:
        scaled = sigma(Fraction(micros, 10**6), delta) * sensitivity
        assert budget.admits(Loss.gaussian(scaled, sensitivity))


@given(EPSILONS, DELTAS)
def test_a_budget_never_allows_more_than_is_asked_for(eps, delta):
    budget = Budget.of(eps, delta)
    assert budget.epsilon * EPSILON_UNIT <= Fraction(repr(eps))
    if budget.mu2:
        mu = mp.sqrt(mp.mpf(budget.mu2) / 2**40)
        x = mp.mpf(eps)
        assert mp.ncdf(-x / mu + mu / 2) - mp.exp(x) * mp.ncdf(-x / mu - mu / 2) <= mp.mpf(delta)


@given(st.floats(1e-6, 500), st.floats(1e-2, 1e6), st.integers(1, 10**6))
def test_a_loss_is_never_rounded_down(eps, noise, sensitivity):
    assert Loss.pure(eps).epsilon * EPSILON_UNIT >= Fraction(repr(eps))
    if sensitivity / noise < 10:
        exact = (Fraction(sensitivity) / Fraction(noise)) ** 2
        assert 0 <= Loss.gaussian(noise, sensitivity).mu2 * MU2_UNIT - exact < MU2_UNIT


@given(st.lists(EVENTS, max_size=8), st.floats(0.1, 10), st.sampled_from([0.0, 1e-9, 1e-6]))
def test_a_budget_admits_exactly_what_one_of_its_two_filters_admits(events, eps, delta):
    budget, spent = Budget.of(eps, delta), sum(events, start=Loss())
    pure = all(event.gaussians == 0 for event in events)
    by_sum = pure and sum(Fraction(event.epsilon, 10**6) for event in events) <= Fraction(repr(eps))
    assert budget.admits(spent) == (by_sum or sum(event.mu2 for event in events) <= budget.mu2)


@given(st.lists(EVENTS, max_size=5), st.floats(0.1, 10), st.sampled_from([0.0, 1e-6]))
def test_what_is_left_can_be_spent_and_no_more(events, eps, delta):
    budget, spent = Budget.of(eps, delta), sum(events, start=Loss())
    if (left := budget.epsilon_left(spent)) > 0:
        assert budget.admits(spent + Loss.pure(left))
    assert not budget.admits(spent + Loss.pure(left + EPSILON_UNIT))
    if (mu := budget.mu_left(spent)) > 1e-3:
        assert budget.admits(spent + Loss.gaussian(1 / mu * (1 + 1e-9)))
        assert not budget.admits(spent + Loss.gaussian(1 / mu * (1 - 1e-6)))


@pytest.mark.parametrize(("noise", "times"), [(4.2247, 1), (4.2247, 10), (36.305, 100), (1.0, 3)])
def test_gaussian_releases_cost_what_their_privacy_loss_distribution_says(noise, times):
    peer = pld.from_gaussian_mechanism(noise, value_discretization_interval=1e-3).self_compose(times)
    ours = together(Loss.gaussian(noise), times).epsilon_at(1e-6)
    theirs = peer.get_epsilon_for_delta(1e-6)  # rounded up, by up to an interval for each release
    assert theirs - 1e-3 * times <= ours <= theirs * 1.0001


@pytest.mark.parametrize(("eps", "noise"), [(0.1, 36.305), (0.5, 4.2247), (1.0, 10.0)])
def test_mixed_releases_never_cost_less_than_their_privacy_loss_distribution_says(eps, noise):
    laplace = pld.from_laplace_mechanism(1 / eps, value_discretization_interval=1e-3).self_compose(3)
    gauss = pld.from_gaussian_mechanism(noise, value_discretization_interval=1e-3).self_compose(3)
    ours = (together(Loss.pure(eps), 3) + together(Loss.gaussian(noise), 3)).epsilon_at(1e-6)
    assert ours >= laplace.compose(gauss).get_epsilon_for_delta(1e-6) - 6e-3


def test_many_small_pure_releases_cost_less_than_their_sum_where_there_is_a_delta():
    spent = together(Loss.pure(0.01), 1_000)
    assert spent.epsilon_at(0) == 10
    assert spent.epsilon_at(1e-6) < 2
    assert Budget.of(2.0, 1e-6).admits(spent)


def test_once_something_gaussian_is_released_no_pure_promise_is_left():
    spent = Loss.pure(0.5) + Loss.gaussian(10.0)
    assert spent.epsilon_at(0) == math.inf
    assert not Budget.of(100.0).admits(spent)


@pytest.mark.parametrize("eps", [0.0, 9.9e-7, -1.0, math.nan, math.inf, 500.1])
def test_an_epsilon_that_promises_nothing_is_refused(eps):
    for use in (Loss.pure, Budget.of):
        with pytest.raises(ValueError, match="epsilon <= 500"):
            use(eps)


@pytest.mark.parametrize("delta", [-1e-9, math.nan, 0.0011, 1.0])
def test_a_delta_that_promises_nothing_is_refused(delta):
    with pytest.raises(ValueError, match=r"delta <= 0\.001"):
        Budget.of(1.0, delta)


@pytest.mark.parametrize(
    ("noise", "sensitivity"), [(0, 1), (-1.0, 1), (math.inf, 1), (1.0, 0), (math.nan, 1), (1e-9, 1)]
)
def test_noise_that_hides_nothing_is_refused(noise, sensitivity):
    with pytest.raises(ValueError, match="sigma"):
        Loss.gaussian(noise, sensitivity)


def test_no_noise_is_calibrated_to_what_none_can_reach():
    with pytest.raises(ValueError, match="larger delta or epsilon"):
        sigma(1e-6, 1e-20)
