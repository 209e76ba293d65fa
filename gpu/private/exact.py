"""Decisions about exponentials that are never wrong: intervals of rational numbers, made narrower until they decide."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from decimal import MAX_EMAX, MIN_EMIN, ROUND_CEILING, ROUND_FLOOR, Context, Decimal
from fractions import Fraction
from typing import NamedTuple

WORD_BITS = 64
FIRST_DIGITS = 50


class Interval(NamedTuple):
    """low <= the number <= high."""

    low: Fraction
    high: Fraction


def exponential(x: Interval, digits: int) -> Interval:
    """The exponential of what lies in x, to so many decimal digits where x is a single number.

    Decimal's exp is rounded to the nearest (IBM General Decimal Arithmetic), so that its neighbours enclose it.
    """
    down, up = (Context(digits, rounding, MIN_EMIN, MAX_EMAX) for rounding in (ROUND_FLOOR, ROUND_CEILING))
    low, high = down.exp(_divided(x.low, down)), up.exp(_divided(x.high, up))
    return Interval(Fraction(down.next_minus(low)), Fraction(up.next_plus(high)))


def _divided(x: Fraction, context: Context) -> Decimal:
    return context.divide(Decimal(x.numerator), Decimal(x.denominator))


def odds(y: Fraction, digits: int) -> Interval:
    """1 / (1 + e^y)."""
    e = exponential(Interval(y, y), digits)
    return Interval(1 / (1 + e.high), 1 / (1 + e.low))


def word(number: Callable[[int], Interval], index: int) -> int:
    """The index-th word of the binary expansion of a number in [0, 1) that is no dyadic fraction, from 0."""
    for digits in precisions():
        low, high = (bound * 2 ** (WORD_BITS * (index + 1)) // 1 for bound in number(digits))
        if low == high:
            return int(low % 2**WORD_BITS)
    raise AssertionError("precisions never end")


def precisions() -> Iterator[int]:
    """50, 100, 200, ... digits."""
    digits = FIRST_DIGITS
    while True:
        yield digits
        digits *= 2


def uniform(words: list[int]) -> Interval:
    """Where a uniform number lies of which these words are drawn."""
    ulp = Fraction(1, 2 ** (WORD_BITS * len(words)))
    low = sum((Fraction(one, 2 ** (WORD_BITS * (index + 1))) for index, one in enumerate(words)), Fraction(0))
    return Interval(low, low + ulp)
