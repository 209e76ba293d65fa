"""What a mechanism of distances is: how far a record moves its integers, and what they say of any point."""

from __future__ import annotations

from typing import Any, NamedTuple, Protocol

from mercer.privacy.distances.calibration import Calibration
from mercer.privacy.distances.request import Request
from mercer.privacy.grid import Floats


class Estimates(NamedTuple):
    """Of sums of distances at some points."""

    sums: Floats
    """(n,)."""
    records: float
    """The number of records as released."""
    noise_error: Floats
    """(n,): standard deviation of the noise in each sum, exactly."""
    approximation_error: Floats
    """(n,): how far each sum may be off without the noise."""


class Distances(Protocol):
    """A mechanism for one request."""

    @property
    def request(self) -> Request:
        """What was asked."""

    @property
    def size(self) -> int:
        """Numbers of the released vector."""

    @property
    def calibration(self) -> Calibration:
        """Its sensitivities and its noise."""

    @property
    def count_error(self) -> float:
        """Standard deviation of the noise in the number of records."""

    @property
    def noise_error(self) -> float:
        """Standard deviation of the noise in a sum, at the point where it is largest."""

    @property
    def error_per_record(self) -> float:
        """At least what a record adds to the approximation error of a sum; for slices to its standard deviation."""

    @property
    def flops(self) -> int:
        """At least those of a release of max_records records."""

    @property
    def table_bytes(self) -> int:
        """Working memory, beside the chunks of records."""

    def digest(self) -> str:
        """SHA-256, in hex, of the public numbers that are computed again by whoever answers."""

    def estimates(self, vector: Floats, points: Floats) -> Estimates:
        """What (size,) int64 say of points (n, d)."""

    def about(self) -> dict[str, Any]:
        """What is to be told of it, beside the request."""
