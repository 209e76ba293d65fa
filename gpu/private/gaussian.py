"""Gaussian noise on the integers by rejection from discrete Laplace noise, a fixed number of candidates at a time."""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property, lru_cache

import numpy as np

from gpu.cpu import noise as compiled
from gpu.leaves import Floats
from gpu.private import exact, laplace
from gpu.private.stream import Source

MARGIN = 2.0**-40
"""What float64 may be wrong about an acceptance probability is below 2^-48; what is nearer is decided exactly."""
SHORTAGE_BITS = 64
"""Fewer samples than wanted are accepted at once with probability below 2^-64; then as many again are proposed."""
CHUNK = 2**16


@dataclass(frozen=True)
class Law:
    """Proposals of discrete Laplace noise k of scale t = floor(sigma) + 1, and how likely each is to be accepted.

    With y = | |k| + width (U - 1/2) | and U uniform:  exp(-(y - sigma^2/t)^2 / (2 sigma^2) - (y - |k| + width/2) / t).
    The accepted y, with k's sign, are normal for width 1; for width 0 they are so on the integers.
    """

    sigma: Fraction
    width: int

    @cached_property
    def scale(self) -> Fraction:
        """The proposals' t."""
        return Fraction(math.floor(self.sigma) + 1)

    @cached_property
    def constants(self) -> tuple[float, float, float, float]:
        """In float64: the centre sigma^2/t, 1 / (sigma sqrt 2), 1/t and the width."""
        centre, slope = float(self.sigma**2 / self.scale), float(1 / self.scale)
        return centre, 1 / (float(self.sigma) * math.sqrt(2)), slope, float(self.width)

    @cached_property
    def rate(self) -> float:
        """Candidates are accepted with at least this probability.

        e^(-sigma^2/2t^2 - width/2t) Z tanh(1/2t) with Z = sigma sqrt(2 pi), or at least that (by Poisson's summation
        formula) and at least 1 for width 0.
        """
        sigma, slope = float(self.sigma), float(1 / self.scale)
        total = sigma * math.sqrt(2 * math.pi)
        total = total if self.width else max(1.0, total)
        lost = (sigma * slope) ** 2 / 2 + self.width * slope / 2
        return 0.999999 * math.exp(-lost) * total * math.tanh(slope / 2)

    def exponent(self, k: int, place: exact.Interval) -> exact.Interval:
        """The logarithm of the acceptance probability, exactly, where U lies in an interval of dyadic bounds."""
        ends = [abs(abs(k) + self.width * (u - Fraction(1, 2))) for u in place]
        logs = [
            -((y - self.sigma**2 / self.scale) ** 2) / (2 * self.sigma**2)
            - (y - abs(k) + Fraction(self.width, 2)) / self.scale
            for y in ends
        ]
        return exact.Interval(min(logs), max(logs))


def draw(law: Law, size: int, words: Source) -> Floats:
    """As gpu.private.noise, from words of any source."""
    out = np.empty(size, np.int64)
    for start in range(0, size, CHUNK):
        part = out[start : start + CHUNK]
        while len(part):
            part = part[_round(law, part, words) :]
    return out


def _round(law: Law, out: Floats, words: Source) -> int:
    """Fill out as far as the accepted of a fixed number of candidates go."""
    n = candidates(law, len(out))
    drawn = laplace.draw(law.scale, n, words)
    uniforms, places = words(n), words(n)
    excess = np.empty(n)
    compiled.accept(drawn, uniforms, places, law.constants, excess)
    accepted = excess > 0
    for i in np.flatnonzero(np.abs(excess) <= MARGIN).tolist():
        accepted[i] = decide(law, int(drawn[i]), [int(uniforms[i])], [int(places[i])], words)
    return min(len(out), int(compiled.compact(drawn, accepted, out)))


def decide(law: Law, k: int, uniform: list[int], place: list[int], words: Source) -> bool:
    """Whether a uniform number is below the acceptance probability; more words of both are drawn until that is sure."""
    for digits in exact.precisions():
        u, probability = exact.uniform(uniform), exact.exponential(law.exponent(k, exact.uniform(place)), digits)
        if u.high <= probability.low or u.low >= probability.high:
            return u.high <= probability.low
        uniform, place = [*uniform, int(words(1)[0])], [*place, int(words(1)[0])]
    raise AssertionError("precisions never end")


@lru_cache(maxsize=1024)
def candidates(law: Law, size: int) -> int:
    """The least N with P(Binomial(N, rate) < size) <= 2^-64 by Chernoff's bound exp(-N KL(size / N, rate))."""
    low, high = size, math.ceil(size / law.rate)
    while _shortage_bits(high, size, law.rate) < SHORTAGE_BITS:
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if _shortage_bits(middle, size, law.rate) >= SHORTAGE_BITS else (middle, high)
    return high


def _shortage_bits(n: int, size: int, rate: float) -> float:
    share = (size - 1) / n
    if share >= rate:
        return 0.0
    lost = share * math.log(share / rate) if share else 0.0
    return n * (lost + (1 - share) * math.log((1 - share) / (1 - rate))) / math.log(2)
