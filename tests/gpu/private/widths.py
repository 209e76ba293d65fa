"""Whether noise is as wide as a recipe says: a statistic whose law is known exactly."""

import numpy as np
from scipy import stats

FALSE_ALARM = 1e-6


def degrees(n, delta):
    """Of the chi-squared statistic of n coordinates.

    Squares of Gaussian noise over sigma^2 add up to chi-squared with a degree for each; absolute values of Laplace
    noise over the scale to half of it with two degrees for each.
    """
    return n if delta else 2 * n


def is_as_wide_as(drawn, scale, delta):
    """Whether the statistic lies where it does but for one time in a million."""
    x = drawn / float(scale)
    statistic, law = (x**2).sum() if delta else 2 * np.abs(x).sum(), stats.chi2(degrees(len(x), delta))
    return law.ppf(FALSE_ALARM / 2) < statistic < law.isf(FALSE_ALARM / 2)


def chance_to_miss(planted, n, delta):
    """That noise of `planted` times the scale passes for as wide: its statistic is so many times, or its square."""
    law = stats.chi2(degrees(n, delta))
    return law.sf(law.ppf(FALSE_ALARM / 2) / float(planted) ** (2 if delta else 1))
