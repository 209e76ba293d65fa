"""What a release of kernel sums is made of: decided from the request and the public terms alone."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from typing import Any, ClassVar, NamedTuple, Self

from mercer.privacy.accounting import Loss, sigma
from mercer.privacy.fourier import Spectrum
from mercer.privacy.grid import Floats
from mercer.privacy.products import POINTS_AT_ONCE
from mercer.privacy.sensitivity import RECORDS
from mercer.privacy.terms import Terms

SMALLEST, LARGEST = Fraction(1, 4), Fraction(2**50)
"""Of noise, in integer units, as the samplers take it."""


class Request(NamedTuple):
    """What a release is asked for, and the public terms of its data set: all that a mechanism may look at."""

    spectrum: Spectrum
    scale: float | tuple[float, ...]
    """The kernel function's lengthscale."""
    epsilon: float
    delta: float
    """0: Laplace noise, and pure differential privacy."""
    n_features: int | None
    """How many frequencies; None leaves it to the mechanism."""
    feature_seed: int
    terms: Terms
    n_landmarks: int | None = None
    """How many are given."""
    n_probes: int | None = None
    """How many are given, at which the error of landmarks is measured."""
    check_share: float | None = None
    """Of the privacy loss: what is spent on the probes."""


class Estimates(NamedTuple):
    """What a release says of some points, and how far it may be off."""

    sums: Floats
    """(n,) of the kernel over all records."""
    records: float
    """The number of records as released."""
    noise_error: Floats
    """(n,): standard deviation of the noise in each sum, exactly."""
    approximation_error: Floats
    """(n,): how far each sum may be off without the noise, in the sense that the mechanism states."""


@dataclass(frozen=True)
class Recipe(ABC):
    """One mechanism's release: integer features of a record, a constant one that counts records, and their noise.

    The released vector has `size` numbers: the features' sums and, last, `count_norm` times the number of records, each
    with integer noise of the one `scale`.
    """

    name: ClassVar[str]
    """In requests and in `parameters["mechanism"]`."""
    title: ClassVar[str]
    """In words."""
    stated: ClassVar[frozenset[str]]
    """What a release must state, beyond what all do, so that it can answer."""

    request: Request

    @classmethod
    @abstractmethod
    def of(cls, request: Request) -> Self:
        """The best one of this mechanism for a request.

        Raises:
            ValueError: it has none; the text says what it would take.
        """

    @property
    @abstractmethod
    def size(self) -> int:
        """Numbers of the released vector."""

    @property
    @abstractmethod
    def count_norm(self) -> int:
        """The constant feature, in integer units."""

    @property
    @abstractmethod
    def features_l1(self) -> int:
        """L1 sensitivity of the features' sums, without the constant one, in integer units."""

    @property
    @abstractmethod
    def features_l2_squared(self) -> int:
        """The square of the L2 sensitivity of the features' sums, without the constant one."""

    @property
    @abstractmethod
    def noise_error(self) -> float:
        """Standard deviation of the noise in a kernel sum; of the worst point where points differ."""

    @property
    @abstractmethod
    def approximation_error_per_record(self) -> float:
        """Root mean square error of a kernel sum without noise over the number of records, or more."""

    @property
    @abstractmethod
    def flops_per_record(self) -> int:
        """Operations for each record."""

    @property
    @abstractmethod
    def table_bytes(self) -> int:
        """Memory for what all records share, such as frequencies."""

    @abstractmethod
    def parameters(self) -> dict[str, Any]:
        """What a release states of it: public, and `stated` at least."""

    @classmethod
    @abstractmethod
    def size_of(cls, parameters: Mapping[str, Any]) -> int:
        """Numbers of the vector of a release that states these parameters."""

    @classmethod
    @abstractmethod
    def estimates(cls, vector: Floats, parameters: Mapping[str, Any], points: Floats) -> Estimates:
        """What a release says of points in the box's dimensions, (n, d).

        Raises:
            InvalidArray: its features cannot be computed as they were.
        """

    @classmethod
    def query_cost(cls, parameters: Mapping[str, Any], n: int) -> tuple[int, int]:
        """Operations and bytes that it takes to answer for n points: their features, some points at a time."""
        d, m = len(parameters["box"]["low"]), cls.size_of(parameters)
        return n * m * (2 * d + 40), 8 * min(n, POINTS_AT_ONCE) * 10 * m + 8 * d * m

    @classmethod
    def remark(cls, parameters: Mapping[str, Any]) -> str:
        """What else a release tells of itself, in a line of its own."""
        return ""

    @property
    def l1(self) -> int:
        """L1 sensitivity in integer units."""
        return self.features_l1 + self._moved * self.count_norm

    @property
    def l2(self) -> int:
        """L2 sensitivity in integer units, rounded up."""
        return math.isqrt(self.features_l2_squared + (self._moved * self.count_norm) ** 2) + 1

    @property
    def _moved(self) -> int:
        return RECORDS[self.request.terms.neighbours]

    @cached_property
    def scale(self) -> Fraction:
        """Of Laplace noise, or the standard deviation of Gaussian noise, in integer units."""
        if self.request.delta:
            return Fraction(math.ceil(sigma(self.request.epsilon, self.request.delta) * self.l2))
        return self.l1 / Fraction(repr(self.request.epsilon))

    @property
    def deviation(self) -> float:
        """Standard deviation of the noise in each number of the vector, in integer units."""
        return float(self.scale) * (1.0 if self.request.delta else math.sqrt(2))

    def check(self) -> None:
        """See that there is such noise.

        Raises:
            ValueError: epsilon and delta are too small, or the noise is out of the samplers' range.
        """
        if not SMALLEST <= self.scale <= LARGEST:
            raise ValueError("expected a larger epsilon, or fewer features: the noise is out of range")

    @property
    def loss(self) -> Loss:
        """What it costs: by the request alone, so that no machine's rounding decides."""
        return loss_of(self.request.epsilon, self.request.delta)

    @property
    def count_error(self) -> float:
        """Standard deviation of the noise in the number of records."""
        return self.deviation / self.count_norm

    @property
    def predicted_error(self) -> float:
        """Root mean square error of a mean over as many records as the data set may have, or more."""
        return math.hypot(self.noise_error / self.request.terms.max_records, self.approximation_error_per_record)


def loss_of(epsilon: float, delta: float) -> Loss:
    """What a release costs, whatever it is made of: `scale` is at least sigma(epsilon, delta) times the sensitivity."""
    return Loss.gaussian(sigma(epsilon, delta)) if delta else Loss.pure(epsilon)
