"""What a budget (epsilon, delta) admits: a filter for releases that are chosen one after another, in integers.

Every release is one event: a mechanism that is epsilon-DP (Laplace noise) or mu-GDP (Gaussian noise,
mu = L2 sensitivity / sigma). A budget admits a sequence when

    all its events are pure and their epsilons add up to at most epsilon,    or
    its mu^2 add up to at most mu_max(epsilon, delta)^2,

where a pure event also counts as the GDP that it implies. Then everything released together is (epsilon, delta)-DP,
even if each event was chosen after the answers of those before: docs/privacy.md has the proof. Sources: Smith and
Thakurta 2022 (the filter of mu^2), Dong, Roth and Su 2022 (GDP).

Everything is counted in integers, in which no sum drifts: epsilon in millionths, mu^2 in units of 2^-40, delta in units
of 1e-21. What is spent is rounded up and what may be spent is rounded down. A float is read as the decimal that prints
it, so that ten times 0.1 is 1.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction

from mercer.privacy import gaussian

EPSILON_UNIT = Fraction(1, 10**6)
MU2_UNIT = Fraction(1, 2**40)
DELTA_UNIT = Fraction(1, 10**21)

LEAST_EPSILON = EPSILON_UNIT

MOST_EPSILON = 500
"""Beyond it nothing is private, and e^epsilon comes near the end of floats."""

MOST_DELTA = Fraction(1, 1000)
"""A delta of 1/n lets a mechanism publish a record as it is; more than this is always a mistake."""

SIGMA_MARGIN = 1e-12
"""Relative; more than a few roundings of floats, so that noise scaled from `sigma` costs what was asked for."""

Real = float | Fraction


@dataclass(frozen=True)
class Loss:
    """What one release costs, or several together: losses add up.

    Attributes:
        epsilon: The sum of the epsilons of pure events, in millionths.
        mu2: The sum of the squared mu of all events, in units of 2^-40.
        gaussians: How many events were not pure.
    """

    epsilon: int = 0
    mu2: int = 0
    gaussians: int = 0

    @classmethod
    def pure(cls, epsilon: Real) -> Loss:
        """Of a mechanism that is epsilon-DP.

        Raises:
            ValueError: epsilon is not in [1e-6, 500].
        """
        units = math.ceil(_epsilon(epsilon) / EPSILON_UNIT)
        mu = gaussian.mu_of_pure(float(units * EPSILON_UNIT))
        return cls(epsilon=units, mu2=math.ceil(Fraction(mu) ** 2 / MU2_UNIT))

    @classmethod
    def gaussian(cls, sigma: Real, sensitivity: Real = 1) -> Loss:
        """Of Gaussian noise on a value of this L2 sensitivity; both are taken as exact numbers.

        Raises:
            ValueError: one of them is not positive, or there is so little noise that nothing is private.
        """
        if not (0 < sigma < math.inf and 0 < sensitivity < math.inf):
            raise ValueError("expected a finite sigma > 0 and sensitivity > 0")
        mu2 = math.ceil((Fraction(sensitivity) / Fraction(sigma)) ** 2 / MU2_UNIT)
        if mu2 > _mu2_units(Fraction(MOST_EPSILON), MOST_DELTA):
            raise ValueError(f"expected noise for an epsilon <= {MOST_EPSILON}; sigma is too small for the sensitivity")
        return cls(mu2=mu2, gaussians=1)

    def __add__(self, other: Loss) -> Loss:
        return Loss(self.epsilon + other.epsilon, self.mu2 + other.mu2, self.gaussians + other.gaussians)

    def epsilon_at(self, delta: Real) -> float:
        """The least epsilon that the filter states for this delta, rounded up; infinite where it states none.

        Raises:
            ValueError: delta is not in [0, 0.001].
        """
        mu = math.nextafter(math.sqrt(float(self.mu2 * MU2_UNIT)), math.inf) if self.mu2 else 0.0
        gdp = gaussian.epsilon(mu, float(_delta(delta)))
        return gdp if self.gaussians else min(gdp, float(self.epsilon * EPSILON_UNIT))


@dataclass(frozen=True)
class Budget:
    """What may be spent: the filter.

    Attributes:
        epsilon: In millionths.
        delta: In units of 1e-21.
        mu2: The largest sum of squared mu that (epsilon, delta) allows, in units of 2^-40; 0 where delta is 0.
    """

    epsilon: int
    delta: int
    mu2: int

    @classmethod
    def of(cls, epsilon: Real, delta: Real = 0) -> Budget:
        """The budget (epsilon, delta), rounded down.

        Raises:
            ValueError: epsilon is not in [1e-6, 500], or delta not in [0, 0.001].
        """
        units = math.floor(_epsilon(epsilon) / EPSILON_UNIT)
        deltas = math.floor(_delta(delta) / DELTA_UNIT)
        return cls(units, deltas, _mu2_units(units * EPSILON_UNIT, deltas * DELTA_UNIT))

    def admits(self, spent: Loss) -> bool:
        """Whether so much may have been spent in all."""
        return (spent.gaussians == 0 and spent.epsilon <= self.epsilon) or spent.mu2 <= self.mu2

    def epsilon_left(self, spent: Loss) -> Fraction:
        """The largest epsilon of one more pure release."""
        by_sum = self.epsilon - spent.epsilon if spent.gaussians == 0 else 0
        inside, outside = max(by_sum, 0), MOST_EPSILON * 10**6 + 1
        while outside - inside > 1:
            middle = (inside + outside) // 2
            if Loss.pure(middle * EPSILON_UNIT).mu2 <= self.mu2 - spent.mu2:
                inside = middle
            else:
                outside = middle
        return inside * EPSILON_UNIT

    def mu_left(self, spent: Loss) -> float:
        """The largest mu of one more Gaussian release, rounded down."""
        units = max(self.mu2 - spent.mu2, 0)
        return math.nextafter(math.sqrt(float(units * MU2_UNIT)), 0) if units else 0.0


def sigma(epsilon: Real, delta: Real) -> float:
    """The noise multiplier: Gaussian noise of sigma times the L2 sensitivity is (epsilon, delta)-DP.

    The least one (the analytic Gaussian mechanism, Balle and Wang 2018), rounded up so that Loss.gaussian(sigma) is
    admitted by Budget.of(epsilon, delta).

    Raises:
        ValueError: epsilon is not in [1e-6, 500], delta not in (0, 0.001], or both so small that no noise suffices.
    """
    units = Budget.of(epsilon, delta).mu2
    if units == 0:
        raise ValueError("expected a larger delta or epsilon: no Gaussian noise has so small ones")
    return (1 + SIGMA_MARGIN) / math.sqrt(float(units * MU2_UNIT))


def _mu2_units(epsilon: Fraction, delta: Fraction) -> int:
    mu = gaussian.mu_max(float(epsilon), float(delta))
    return math.floor(Fraction(mu) ** 2 / MU2_UNIT)


def _epsilon(value: Real) -> Fraction:
    return _between(
        value, LEAST_EPSILON, Fraction(MOST_EPSILON), f"{float(LEAST_EPSILON)} <= epsilon <= {MOST_EPSILON}"
    )


def _delta(value: Real) -> Fraction:
    return _between(value, Fraction(0), MOST_DELTA, f"0 <= delta <= {float(MOST_DELTA)}")


def _between(value: Real, least: Fraction, most: Fraction, bounds: str) -> Fraction:
    if math.isfinite(value):
        exact = value if isinstance(value, Fraction) else Fraction(repr(float(value)))
        if least <= exact <= most:
            return exact
    raise ValueError(f"expected {bounds}")
