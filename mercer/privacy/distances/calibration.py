"""The noise of one release: from what a record can move, in integers."""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property

from mercer.privacy.accounting import Loss, sigma
from mercer.privacy.recipe import LARGEST, SMALLEST

MAX_TOTAL_BITS = 62


@dataclass(frozen=True)
class Calibration:
    """Laplace or Gaussian noise on integers of these sensitivities."""

    l1: int
    """L1 sensitivity of the released integers."""
    l2_squared: int
    """The square of their L2 sensitivity."""
    epsilon: float
    delta: float
    """0: Laplace noise."""

    @cached_property
    def l2(self) -> int:
        """L2 sensitivity, rounded up."""
        return math.isqrt(self.l2_squared - 1) + 1

    @cached_property
    def scale(self) -> Fraction:
        """Of Laplace noise, or the standard deviation of Gaussian noise.

        Raises:
            ValueError: epsilon and delta are too small for Gaussian noise.
        """
        if self.delta:
            return Fraction(math.ceil(sigma(self.epsilon, self.delta) * self.l2))
        return self.l1 / Fraction(repr(self.epsilon))

    @property
    def deviation(self) -> float:
        """Standard deviation of the noise of an integer; the rounding of Gaussian noise adds 1/12 to its variance."""
        scale = float(self.scale)
        return math.sqrt(scale * scale + 1 / 12) if self.delta else math.sqrt(2) * scale

    @property
    def loss(self) -> Loss:
        """What it costs."""
        return Loss.gaussian(self.scale, self.l2) if self.delta else Loss.pure(self.epsilon)

    def check(self) -> None:
        """See that there is such noise.

        Raises:
            ValueError: epsilon and delta are too small, or the noise is out of the samplers' range.
        """
        if not SMALLEST <= self.scale <= LARGEST:
            raise ValueError("expected an epsilon that is neither so large nor so small: the noise is out of range")
