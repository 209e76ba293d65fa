"""mu, epsilon and delta against arithmetic with 60 digits."""

import math
import random

import mpmath as mp
import pytest

from mercer.privacy import gaussian
from mercer.privacy.gaussian import SAFETY, delta, epsilon, mu_max, mu_of_pure

mp.mp.dps = 60
PAIRS = [(eps, d) for eps in (1e-4, 0.01, 0.1, 1.0, 3.0, 20.0, 400.0) for d in (1e-3, 1e-6, 1e-10, 1e-20)]


def exact_delta(eps, mu):
    eps, mu = mp.mpf(eps), mp.mpf(mu)
    return mp.ncdf(-eps / mu + mu / 2) - mp.exp(eps) * mp.ncdf(-eps / mu - mu / 2)


def exact_mu(eps, wanted):
    below, above = mp.mpf("1e-12"), mp.mpf(100)
    for _ in range(120):
        middle = mp.sqrt(below * above)
        below, above = (middle, above) if exact_delta(eps, middle) <= wanted else (below, middle)
    return below


def points(count, seed):
    """Epsilon and mu with a = epsilon / mu - mu / 2 where budgets are, and mu over eight decades."""
    random.seed(seed)
    while count:
        mu, a = 10 ** random.uniform(-6, 1.9), random.uniform(-8, 10)
        if (eps := mu * (a + mu / 2)) >= 0:
            count -= 1
            yield eps, mu


def test_delta_errs_by_less_than_the_safety_taken_everywhere_that_budgets_are():
    errors = [abs(delta(eps, mu) / exact_delta(eps, mu) - 1) for eps, mu in points(600, 0)]
    assert max(errors) < SAFETY / 10


@pytest.mark.parametrize("t", [-30.0, -5.0, 0.0, 1.0, 2.9999, 3.0, 3.5, 10.0, 100.0])
def test_mills_ratio_is_exact_to_a_few_roundings(t):
    expected = mp.ncdf(-mp.mpf(t)) / mp.npdf(mp.mpf(t))
    assert abs(gaussian._mills(t) / expected - 1) < 1e-15


@pytest.mark.parametrize(
    ("eps", "mu", "expected"), [(1.0, 0.0, 0.0), (1e300, 1e-300, 0.0), (0.0, 200.0, 1.0), (700.0, 1e-3, 0.0)]
)
def test_the_ends_of_delta_are_reached_without_an_overflow(eps, mu, expected):
    assert delta(eps, mu) == expected


@pytest.mark.parametrize(("eps", "wanted"), PAIRS)
def test_mu_max_is_the_largest_mu_and_never_more(eps, wanted):
    exact = exact_mu(eps, mp.mpf(wanted))
    assert exact * (1 - 3 * SAFETY) < mu_max(eps, wanted) < exact


@pytest.mark.parametrize(("eps", "wanted"), PAIRS)
def test_epsilon_is_the_least_epsilon_and_never_less(eps, wanted):
    mu = mu_max(eps, wanted)
    assert eps * (1 - 1e-5) <= epsilon(mu, wanted) <= eps * (1 + SAFETY)
    assert exact_delta(epsilon(mu, wanted), mu) < wanted


def test_without_delta_no_gaussian_noise_is_private():
    assert mu_max(1.0, 0.0) == 0.0
    assert epsilon(0.5, 0.0) == math.inf
    assert epsilon(0.0, 0.0) == 0.0


@pytest.mark.parametrize("eps", [1e-6, 1e-3, 0.1, 0.999, 1.0, 1.001, 3.0, 30.0, 500.0])
def test_a_pure_mechanism_is_just_as_gaussian_as_randomised_response(eps):
    # Both sides of Phi(mu / 2) = e^eps / (1 + e^eps), by the complement, which 60 digits hold.
    missing = mp.ncdf(-mp.mpf(mu_of_pure(eps)) / 2) * (1 + mp.exp(mp.mpf(eps)))
    assert missing <= 1
    assert mp.ncdf(-mp.mpf(mu_of_pure(eps)) / 2 * (1 - mp.mpf("1e-10"))) * (1 + mp.exp(mp.mpf(eps))) > 1


@pytest.mark.parametrize("eps", [0.05, 0.7, 2.0, 8.0])
def test_a_pure_mechanism_is_as_gaussian_as_stated_at_every_delta(eps):
    """The worst pure mechanism has delta = (e^eps - e^x) / (1 + e^eps) at every x <= eps; GDP must not claim less."""
    mu = mu_of_pure(eps)
    for x in (0.0, 0.2 * eps, 0.5 * eps, 0.9 * eps, eps):
        assert delta(x, mu) >= (math.exp(eps) - math.exp(x)) / (1 + math.exp(eps)) * (1 - 1e-12)
