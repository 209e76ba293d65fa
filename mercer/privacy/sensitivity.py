"""How far one record moves a sum of integer features: a statement about integers, for both neighbouring relations."""

from __future__ import annotations

import math
from dataclasses import dataclass

RECORDS = {"add_or_remove_one": 1, "change_one": 2}
"""How many records' features the difference of two neighbours' sums has at most."""
MAX_BITS = 24
MAX_TOTAL_BITS = 62


@dataclass(frozen=True)
class Blocks:
    """Integer features in blocks of one width, each block with sum of squares at most 4^bits.

    A record adds its features to the sum. Then, by the triangle inequality, two neighbours' sums differ by at most the
    numbers below; a block's L1 norm is at most sqrt(width) times its L2 norm (Cauchy and Schwarz).

    Raises:
        ValueError: bits is not in [1, 24], or width * 4^bits is not below 2^62.
    """

    count: int
    width: int
    bits: int
    """q: a feature of 1 is the integer 2^q."""

    def __post_init__(self) -> None:
        if not (1 <= self.bits <= MAX_BITS and self.count >= 1 and self.width >= 1):
            raise ValueError(f"Expected bits in [1, {MAX_BITS}], and at least one block of at least one feature.")
        if self.width.bit_length() + 2 * self.bits > MAX_TOTAL_BITS:
            raise ValueError(f"Expected blocks of fewer features: width * 4^bits < 2^{MAX_TOTAL_BITS}.")

    @property
    def size(self) -> int:
        """Features of a record."""
        return self.count * self.width

    @property
    def norms(self) -> tuple[int, ...]:
        """Of each block the largest L2 norm."""
        return (1 << self.bits,) * self.count

    @property
    def max_records(self) -> int:
        """No sum of so many records overflows: n 2^q < 2^62."""
        return (1 << MAX_TOTAL_BITS - self.bits) - 1

    def l1(self, neighbours: str) -> int:
        """The L1 sensitivity of the sum, in integer units: of a whole block at most floor(sqrt(width 4^q))."""
        return RECORDS[neighbours] * self.count * math.isqrt(self.width << 2 * self.bits)

    def l2_squared(self, neighbours: str) -> int:
        """The square of the L2 sensitivity of the sum, in squared integer units."""
        return RECORDS[neighbours] ** 2 * self.count << 2 * self.bits


@dataclass(frozen=True)
class Pairs:
    """Integer features in pairs of weights of their own: the squares of pair k add up to at most norms[k]^2.

    The same argument as for Blocks, pair by pair: at most floor(sqrt(2 norms[k]^2)) is the L1 norm of pair k.

    Raises:
        ValueError: there is no pair, or a norm is not in [1, 2^24].
    """

    norms: tuple[int, ...]

    def __post_init__(self) -> None:
        if not self.norms or not all(1 <= norm <= 1 << MAX_BITS for norm in self.norms):
            raise ValueError(f"Expected at least one pair, and norms in [1, 2^{MAX_BITS}].")

    @property
    def size(self) -> int:
        """Features of a record."""
        return 2 * len(self.norms)

    @property
    def max_records(self) -> int:
        """No sum of so many records overflows: n max(norms) < 2^62."""
        return ((1 << MAX_TOTAL_BITS) - 1) // max(self.norms)

    def l1(self, neighbours: str) -> int:
        """The L1 sensitivity of the sum, in integer units."""
        return RECORDS[neighbours] * sum(math.isqrt(2 * norm * norm) for norm in self.norms)

    def l2_squared(self, neighbours: str) -> int:
        """The square of the L2 sensitivity of the sum, in squared integer units."""
        return RECORDS[neighbours] ** 2 * sum(norm * norm for norm in self.norms)


@dataclass(frozen=True)
class Weighted:
    """The features of several blocks, those of each multiplied by a whole number: one event for all of them."""

    blocks: tuple[Blocks, ...]
    weights: tuple[int, ...]

    @property
    def size(self) -> int:
        """Features of a record."""
        return sum(one.size for one in self.blocks)

    @property
    def max_records(self) -> int:
        """No sum of so many records overflows."""
        return min(one.max_records // weight for one, weight in zip(self.blocks, self.weights, strict=True))

    def l1(self, neighbours: str) -> int:
        """The L1 sensitivity of the sum, in integer units."""
        return sum(weight * one.l1(neighbours) for one, weight in zip(self.blocks, self.weights, strict=True))

    def l2_squared(self, neighbours: str) -> int:
        """The square of the L2 sensitivity of the sum, in squared integer units."""
        several = zip(self.blocks, self.weights, strict=True)
        return sum(weight**2 * one.l2_squared(neighbours) for one, weight in several)
