"""What a release really loses: from the noise that its code asks for, and from many of its releases.

A release is taken apart by letting its own code run while the samplers answer with marks instead of noise: what is left
are the exact integers, and which draw went into which of them. From that the privacy loss of two neighbours is known
exactly (`realised`), and so many releases are drawn at once (`releases`) that the loss can also be seen from outside
(`lower_bound`), by a test that knows nothing but the released numbers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from fractions import Fraction
from typing import Any, NamedTuple

import numpy as np
from scipy import stats

from gpu.leaves import Floats
from gpu.private import gaussian, laplace, noise
from mercer.privacy import Loss
from mercer.privacy.accounting import EPSILON_UNIT, MU2_UNIT

Release = Callable[[], Floats]
"""Makes one release, (K,)."""
SMALL = 1e-6
"""A variance for numbers that have none."""
SHARES = (0.3, 0.5, 0.7, 0.8, 0.9, 0.95, 0.98, 0.99, 0.995, 0.998)
"""Of releases of both neighbours, that are below a threshold: few, for the best of many is best by chance."""
SAMPLERS = {"laplace": noise.discrete_laplace, "gaussian": noise.rounded_gaussian}


class Unsound(Exception):
    """A release is not integers, each with one draw of the samplers of its own, of a law that is public."""


class Draws(NamedTuple):
    """What one call of a sampler was asked for."""

    law: str
    """laplace or gaussian."""
    scale: Fraction
    size: int


class Parts(NamedTuple):
    """A release, taken apart."""

    exact: Floats
    """(K,) int64: before the noise. Numbers after them are made of the noisy ones."""
    draws: tuple[Draws, ...]
    places: Floats
    """(K,): which draw, counted through all calls, each number has."""

    @property
    def laws(self) -> tuple[Floats, Floats]:
        """Of every number, whether its noise is Gaussian, and its scale as a Fraction."""
        gaussians = np.concatenate([np.full(one.size, one.law == "gaussian") for one in self.draws])
        scales = np.concatenate([np.full(one.size, one.scale, object) for one in self.draws])
        return gaussians[self.places], scales[self.places]


class Realised(NamedTuple):
    """The privacy loss between two neighbours, exactly."""

    epsilon: Fraction
    """Of the Laplace noise: the sum of |difference| / scale."""
    mu2: Fraction
    """Of the Gaussian noise: the sum of (difference / sigma)^2."""

    def within(self, charged: Loss) -> bool:
        """Whether no more is lost than was charged."""
        pure = Loss.pure(self.epsilon).mu2 * MU2_UNIT if self.epsilon >= EPSILON_UNIT else Fraction(0)
        if charged.gaussians == 0:
            return self.mu2 == 0 and self.epsilon <= charged.epsilon * EPSILON_UNIT
        return self.mu2 + pure <= charged.mu2 * MU2_UNIT


def taken_apart(release: Release) -> Parts:
    """The exact integers of a release, and where its noise goes.

    Raises:
        Unsound: it has noise of another source, or numbers without a draw of their own.
    """
    (exact, draws), (again, _), (marked, _) = (_answered(release, first) for first in (None, None, 1))
    if exact.dtype != np.int64 or not np.array_equal(exact, again):
        raise Unsound("noise of another source, or no integers")
    size = sum(one.size for one in draws)
    places = marked[:size] - exact[:size] - 1
    if set(places.tolist()) != set(range(size)):
        raise Unsound("a number without a draw of its own")
    return Parts(exact[:size], draws, places)


def forced(release: Callable[[], Any], parts: Parts, noisy: Floats) -> Any:
    """What is released where the noise is such that the noisy numbers, (K,), are these.

    All else that is released must be made of them and of what is public: it is the same for any records.
    """
    noise, drawn = np.empty_like(noisy), 0
    noise[parts.places] = noisy - parts.exact

    def draw(law: str, scale: Fraction, size: int) -> Floats:
        nonlocal drawn
        drawn += size
        return noise[drawn - size : drawn].copy()

    with samplers(draw):
        return release()


def _answered(release: Release, first: int | None) -> tuple[Floats, tuple[Draws, ...]]:
    """A release with the marks first, first + 1, ... in the place of noise, or zeros."""
    asked: list[Draws] = []

    def marks(law: str, scale: Fraction, size: int) -> Floats:
        before = sum(one.size for one in asked)
        asked.append(Draws(law, scale, size))
        return np.zeros(size, np.int64) if first is None else np.arange(first + before, first + before + size)

    with samplers(marks):
        return release(), tuple(asked)


@contextmanager
def samplers(draw: Callable[[str, Fraction, int], Floats]) -> Iterator[None]:
    """In the place of the samplers of gpu.private.noise, below all code that asks for noise."""
    true = laplace.draw, gaussian.draw

    def of_gaussian(law: gaussian.Law, size: int, words: Any) -> Floats:
        if law.width != 1:
            raise Unsound("discrete Gaussian noise, which is not mu-GDP")
        return draw("gaussian", law.sigma, size)

    laplace.draw = lambda scale, size, words: draw("laplace", scale, size)
    gaussian.draw = of_gaussian
    try:
        yield
    finally:
        laplace.draw, gaussian.draw = true


def realised(one: Parts, other: Parts) -> Realised:
    """The loss of two neighbours.

    Raises:
        Unsound: their noise is not of the same law, so that it tells which of them it is.
    """
    if one.draws != other.draws or not np.array_equal(one.places, other.places):
        raise Unsound("noise that depends on the records")
    gaussians, scales = one.laws
    moved = np.array([Fraction(int(a) - int(b)) for a, b in zip(one.exact, other.exact, strict=True)], object)
    ratios = np.abs(moved / scales)
    return Realised(sum(ratios[~gaussians], Fraction(0)), sum(ratios[gaussians] ** 2, Fraction(0)))


def releases(parts: Parts, trials: int) -> Floats:
    """(trials, K): as many releases, each with noise of its own from the samplers."""
    drawn = [SAMPLERS[one.law](one.scale, trials * one.size).reshape(trials, one.size) for one in parts.draws]
    return parts.exact + np.concatenate(drawn, axis=1)[:, parts.places]


def statistic(one: Parts, other: Parts, released: Floats) -> Floats:
    """(trials,): the logarithm of the likelihood ratio of two neighbours, by the laws of the first."""
    gaussians, scales = one.laws
    scales = scales.astype(float)
    a, b = released - one.exact, released - other.exact
    absolute = (np.abs(b) - np.abs(a)) / scales
    squared = (b.astype(float) ** 2 - a.astype(float) ** 2) / (2 * scales**2)
    return np.where(gaussians, squared, absolute).sum(axis=1)


def towards(one: Floats, other: Floats) -> Floats:
    """(K,): weights by which released numbers tell two neighbours apart, from some releases of each: a linear test."""
    spread = one.var(axis=0) + other.var(axis=0)
    return (one.mean(axis=0) - other.mean(axis=0)) / (spread + SMALL)


class Bound(NamedTuple):
    """Of the privacy loss, from below, seen in samples."""

    epsilon: float
    """For any mechanism and the given delta."""
    mu: float
    """For one that is mu-GDP."""


def lower_bound(chosen: Sequence[Floats], seen: Sequence[Floats], delta: float, doubt: float) -> Bound:
    """Of the loss of two neighbours by a statistic under each, larger under the first.

    A mechanism that is (epsilon, delta)-DP has P(S > t) <= e^epsilon P'(S > t) + delta, one that is mu-GDP
    Phi^-1(P(S > t)) - Phi^-1(P'(S > t)) <= mu. Clopper and Pearson (1934) bound the probabilities.

    Args:
        chosen: Samples that t is chosen with, which then are not looked at again.
        seen: Samples that the bounds are of.
        delta: Of what is claimed.
        doubt: The probability with which each of the two bounds of a probability may be wrong.
    """
    thresholds = np.unique(np.quantile(np.concatenate(chosen), SHARES, method="lower"))
    tried = [_bound(*chosen, float(t), delta, doubt) for t in thresholds]
    best = [float(thresholds[np.argmax([getattr(one, name) for one in tried])]) for name in Bound._fields]
    return Bound(*(getattr(_bound(*seen, t, delta, doubt), name) for name, t in zip(Bound._fields, best, strict=True)))


def _bound(first: Floats, second: Floats, threshold: float, delta: float, doubt: float) -> Bound:
    often = at_least(int((first >= threshold).sum()), len(first), doubt)
    rarely = 1 - at_least(int((second < threshold).sum()), len(second), doubt)
    if often <= delta:
        return Bound(0.0, 0.0)
    epsilon, mu = np.log((often - delta) / rarely), stats.norm.isf(rarely) - stats.norm.isf(often)
    return Bound(max(0.0, float(epsilon)), max(0.0, float(mu)))


def at_least(hits: int, trials: int, doubt: float) -> float:
    """A bound of a probability from below, wrong with probability `doubt` at most."""
    return float(stats.beta.ppf(doubt, hits, trials - hits + 1)) if hits else 0.0
