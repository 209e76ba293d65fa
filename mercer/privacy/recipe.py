"""What a release of kernel sums is made of: decided from the request and the public terms alone."""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property

from mercer.privacy.accounting import Loss, sigma
from mercer.privacy.sensitivity import RECORDS, Blocks
from mercer.privacy.terms import Neighbours

BITS = 16
"""A feature of 1 is the integer 2^16: truncation then changes a kernel value by less than 1e-4."""

COUNT_SHARE = 16
"""Part of the features' squared norm that the count's weight has: the noise of many features grows by 3 to 4 %."""

SMALLEST, LARGEST = Fraction(1, 4), Fraction(2**50)
"""Of noise, in integer units, as the samplers take it."""


@dataclass(frozen=True)
class Recipe:
    """Kernel sums by m random frequencies: 2 m features and a constant one, and the noise that they get."""

    n_features: int
    neighbours: Neighbours
    epsilon: float
    delta: float
    """0: Laplace noise, and pure differential privacy."""

    @property
    def pairs(self) -> Blocks:
        """Of the cosine and the sine of each frequency."""
        return Blocks(self.n_features, 2, BITS)

    @property
    def count_weight(self) -> int:
        """What the constant feature is, in the unit of the others."""
        if self.delta:
            return math.isqrt(self.n_features // COUNT_SHARE) + 1
        return self.n_features // 8 + 1

    @property
    def l1(self) -> int:
        """L1 sensitivity in integer units."""
        return self.pairs.l1(self.neighbours) + self._moved * self.count_weight * 2**BITS

    @property
    def l2(self) -> int:
        """L2 sensitivity in integer units, rounded up."""
        squared = self.pairs.l2_squared(self.neighbours) + (self._moved * self.count_weight * 2**BITS) ** 2
        return math.isqrt(squared) + 1

    @property
    def _moved(self) -> int:
        return RECORDS[self.neighbours]

    @cached_property
    def scale(self) -> Fraction:
        """Of Laplace noise, or the standard deviation of Gaussian noise, in integer units."""
        if self.delta:
            return Fraction(math.ceil(sigma(self.epsilon, self.delta) * self.l2))
        return self.l1 / Fraction(repr(self.epsilon))

    def check(self) -> None:
        """See that there is such noise.

        Raises:
            ValueError: epsilon and delta are too small, or the noise is out of the samplers' range.
        """
        if not SMALLEST <= self.scale <= LARGEST:
            raise ValueError("expected a larger epsilon, or fewer features: the noise is out of range")

    @property
    def loss(self) -> Loss:
        """What it costs."""
        return Loss.gaussian(self.scale, self.l2) if self.delta else Loss.pure(self.epsilon)

    @property
    def noise_error(self) -> float:
        """Standard deviation of the noise in a kernel sum: the same at every point, as cos^2 + sin^2 = 1."""
        deviation = float(self.scale) * (1.0 if self.delta else math.sqrt(2))
        return deviation / (math.sqrt(self.n_features) * 2**BITS)

    @property
    def count_error(self) -> float:
        """Standard deviation of the noise in the number of records."""
        deviation = float(self.scale) * (1.0 if self.delta else math.sqrt(2))
        return deviation / (self.count_weight * 2**BITS)
