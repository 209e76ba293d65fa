"""Integer noise for private releases: nobody can seed it, and a sample's value does not show in the work it takes.

Every call draws a key from the operating system and forgets it. Samples follow their laws exactly, given uniform bits,
but for the tails of probability below 2^-140 that `total_variation` bounds. All are below 2^60 in absolute value.
"""

from __future__ import annotations

from fractions import Fraction

from gpu.leaves import Floats
from gpu.private import gaussian, laplace
from gpu.private.gaussian import Law
from gpu.private.stream import secret_words

SMALLEST, LARGEST = Fraction(1, 4), Fraction(2**50)
"""Of scales and standard deviations, in integer units; the proposals' digits then end below 2^57."""
TAIL_BITS = 130


def discrete_laplace(scale: Fraction | int, size: int) -> Floats:
    """P(x) = tanh(1/(2t)) e^(-|x|/t) on the integers, t = scale; pure (L1 sensitivity / t)-differential privacy.

    The difference of two geometric variables, whose binary digits are independent: digit k is 1 with probability
    1 / (1 + e^(2^k/t)). A digit compares a word with the probability's first 64 bits, and goes on with the next 64
    where they are equal (with probability 2^-64). Digits from 2^K >= 98 t on are left out.
    Ghosh, Roughgarden and Sundararajan, Universally utility-maximizing privacy mechanisms (2009); McSherry's digits.

    Args:
        scale: From 1/4 to 2^50.
        size: Samples.

    Returns:
        (size,) int64.

    Raises:
        ValueError: the scale or the size is out of range.
    """
    return laplace.draw(_checked(scale, size), size, secret_words())


def discrete_gaussian(sigma: Fraction | int, size: int) -> Floats:
    """P(x) proportional to e^(-x^2 / (2 sigma^2)) on the integers; (L2 sensitivity / sigma)^2 / 2 zero-concentrated.

    Canonne, Kamath and Steinke, The discrete Gaussian for differential privacy (2020), algorithm 3: discrete Laplace
    candidates are accepted with a probability that is compared in float64, and exactly where that is within 2^-40.
    The number of candidates depends on sigma and the size alone; it suffices but for a probability of 2^-64, in which
    as many are drawn again. Accepted values are independent of how many candidates it took.

    Args:
        sigma: From 1/4 to 2^50.
        size: Samples.

    Returns:
        (size,) int64.

    Raises:
        ValueError: sigma or the size is out of range.
    """
    return gaussian.draw(Law(_checked(sigma, size), width=0), size, secret_words())


def rounded_gaussian(sigma: Fraction | int, size: int) -> Floats:
    """The nearest integers to normal variables: P(x) = Phi((x + 1/2) / sigma) - Phi((x - 1/2) / sigma).

    An integer plus this is the integer plus a normal variable, rounded: what holds for the Gaussian mechanism holds for
    it, and it is (L2 sensitivity / sigma)-Gaussian differentially private in any dimension, without a term for the grid
    (Dong, Roth and Su, Gaussian differential privacy, 2022). Drawn as the discrete
    Gaussian is, with a uniform place within the cell of each candidate.

    Args:
        sigma: From 1/4 to 2^50.
        size: Samples.

    Returns:
        (size,) int64.

    Raises:
        ValueError: sigma or the size is out of range.
    """
    return gaussian.draw(Law(_checked(sigma, size), width=1), size, secret_words())


def total_variation(size: int) -> float:
    """At least the total variation distance between so many samples together and their law, for all samplers.

    A geometric variable is beyond its digits with probability e^-98 < 2^-141, a difference of two with less than
    2^-140; rejection divides by the acceptance rate, above 1/8: less than 2^-136 for each sample, stated as 2^-130.
    """
    return size * 2.0**-TAIL_BITS


def _checked(parameter: Fraction | int, size: int) -> Fraction:
    if isinstance(parameter, float) or not SMALLEST <= parameter <= LARGEST:
        raise ValueError("Expected a scale or standard deviation that is a whole number or a fraction in [1/4, 2^50].")
    if size < 0:
        raise ValueError("Expected a size that is not negative.")
    return Fraction(parameter)
