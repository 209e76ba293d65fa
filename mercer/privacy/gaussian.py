"""Gaussian differential privacy: how mu, epsilon and delta belong together.

A mechanism is mu-GDP when telling two neighbours apart by its output is at least as hard as telling N(0, 1) from
N(mu, 1) by one draw; Gaussian noise of standard deviation sigma on a value of L2 sensitivity D is (D / sigma)-GDP. It
is then (epsilon, delta)-DP for every epsilon >= 0 with

    delta(epsilon, mu) = Phi(-a) - e^epsilon Phi(-b),    a = epsilon / mu - mu / 2,    b = epsilon / mu + mu / 2.

Since phi(a) = e^epsilon phi(b), this is phi(a) (m(a) - m(b)) with Mills' ratio m(t) = Phi(-t) / phi(t): nothing in it
overflows, and nothing in its tails is lost. Sources: Balle and Wang 2018, Theorem 8; Dong, Roth and Su 2022,
Corollary 1.

What is searched for is rounded to the safe side: `epsilon` up, `mu_max` down, `mu_of_pure` up.
"""

from __future__ import annotations

import math
from collections.abc import Callable

SAFETY = 1e-7
"""Relative; more than `delta` errs by for mu >= 1e-6 and a <= 10, which is where budgets are: 6e-9 against mpmath."""

PURE_SAFETY = 1e-12
"""Relative; more than erf, erfc, tanh and exp err by."""

_TERMS = 60
"""Of the continued fraction: from t = 3 on the rest is below 1e-17."""


def delta(epsilon: float, mu: float) -> float:
    """The delta that goes with an epsilon: how far mu-GDP is from epsilon-DP.

    Args:
        epsilon: >= 0.
        mu: >= 0.
    """
    if mu == 0:
        return 0.0
    a, b = epsilon / mu - mu / 2, epsilon / mu + mu / 2
    if a < -30:  # Phi(-a) is 1 and e^epsilon Phi(-b) below 1e-190
        return 1.0
    return math.exp(-a * a / 2) / math.sqrt(2 * math.pi) * (_mills(a) - _mills(b))


def epsilon(mu: float, delta: float) -> float:
    """The least epsilon for which mu-GDP is (epsilon, delta)-DP, rounded up; infinite where delta is 0.

    Args:
        mu: >= 0.
        delta: 0 <= delta < 1.
    """
    if mu == 0 or _holds(0.0, mu, delta):
        return 0.0
    if delta == 0:
        return math.inf
    # delta(epsilon, mu) <= Phi(-a) <= e^(-a a / 2), which is half of what is asked for at this a.
    enough = mu * (mu / 2 + math.sqrt(2 * math.log(2 / delta)))
    return _bisect(lambda value: _holds(value, mu, delta), enough, 0.0)


def mu_max(epsilon: float, delta: float) -> float:
    """The largest mu for which mu-GDP is (epsilon, delta)-DP, rounded down; 0 where delta is 0.

    Args:
        epsilon: >= 0.
        delta: 0 <= delta < 1.
    """
    if delta == 0:
        return 0.0
    too_much = 1.0
    while _holds(epsilon, too_much, delta):
        too_much *= 2
    return _bisect(lambda value: _holds(epsilon, value, delta), 0.0, too_much)


def mu_of_pure(epsilon: float) -> float:
    """The least mu for which every epsilon-DP mechanism is mu-GDP, rounded up: 2 Phi^-1(e^epsilon / (1 + e^epsilon)).

    Solved as erf(mu / sqrt 8) = tanh(epsilon / 2), and by the complements of both where these are near 1.
    """
    small = math.exp(-epsilon)

    def suffices(mu: float) -> bool:
        x = mu / math.sqrt(8)
        if epsilon < 1:
            return math.erf(x) >= math.tanh(epsilon / 2) * (1 + PURE_SAFETY)
        return math.erfc(x) * (1 + PURE_SAFETY) <= 2 * small / (1 + small)

    return _bisect(suffices, 4 + 2 * math.sqrt(2 * epsilon), 0.0)


def _holds(epsilon: float, mu: float, allowed: float) -> bool:
    return delta(epsilon, mu) * (1 + SAFETY) <= allowed


def _bisect(holds: Callable[[float], bool], inside: float, outside: float) -> float:
    """The last number, on the way from one at which something holds to one at which it does not, at which it holds."""
    while inside != (middle := (inside + outside) / 2) != outside:
        if holds(middle):
            inside = middle
        else:
            outside = middle
    return inside


def _mills(t: float) -> float:
    """Phi(-t) / phi(t) for t >= -30; by Laplace's continued fraction 1 / (t + 1 / (t + 2 / (t + ...))) from 3 on."""
    if t < 3:
        return math.sqrt(math.pi / 2) * math.exp(t * t / 2) * math.erfc(t / math.sqrt(2))
    rest = t
    for term in range(_TERMS, 0, -1):
        rest = t + term / rest
    return 1 / rest
