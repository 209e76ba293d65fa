"""Confidence intervals of a mean over directions, and what they say of its p-th root."""

from __future__ import annotations

import math

from scipy.special import stdtrit

from gpu.sliced.estimators import Mean

ALPHA = 0.05
"""What an interval may miss."""

SHIFTED: dict[int, tuple[float, ...]] = {
    3: (5.25, 8.28, 12.7, 19.0, 28.0, 40.9, 59.1, 85.3, 122.0, 175.0, 248.0),
    7: (2.75, 3.68, 4.87, 6.32, 8.07, 10.2, 12.7, 15.7, 19.2, 23.5, 28.5),
}
"""By degrees of freedom, the quantiles of |mean| / error for levels 0.05, 0.05 / 2, 0.05 / 4, ...

Slices have kinks where two projected points change places. A grid of equal steps shifted by u misses the integral by
B_2(u) = u^2 - u + 1 / 6 for each, up to a shift and a factor (Euler and Maclaurin), which is bounded: four such errors
are often alike by chance, and Student's interval would hold the truth nine times in ten. From 2e7 draws, to 1 %.
"""

Interval = tuple[float, float]


def half_width(mean: Mean, alpha: float = ALPHA) -> float | None:
    """The quantile times the standard error; None where there is no error to go by."""
    if mean.error is None:
        return None
    return mean.error * quantile(mean.freedom, alpha, shifted=mean.shifted) if mean.error > 0 else 0.0


def quantile(freedom: int, alpha: float, *, shifted: bool) -> float:
    """What |mean - truth| / error exceeds with probability alpha: Student's, or that of shifted grids."""
    if not shifted:
        return float(stdtrit(freedom, 1 - alpha / 2))
    column = SHIFTED[freedom]
    return column[min(round(math.log2(ALPHA / alpha)), len(column) - 1)]


def around(value: float, width: float, within: Interval) -> Interval:
    """The interval value +- width, cut to what is certain."""
    low, high = (min(max(end, within[0]), within[1]) for end in (value - width, value + width))
    return low, high


def root(interval: Interval, p: float) -> Interval:
    """Of the p-th root, which is monotone."""
    return float(interval[0] ** (1 / p)), float(interval[1] ** (1 / p))


def root_error(value: float, error: float | None, p: float) -> float | None:
    """The standard error of value^(1/p), by the delta method; None where the value is within its noise."""
    if error is None or (error > 0 and value <= error):
        return None
    return error * float(value ** (1 / p - 1)) / p if error > 0 else 0.0
