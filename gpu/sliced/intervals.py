"""Confidence intervals of a mean over directions, and what they say of its p-th root."""

from __future__ import annotations

from scipy.special import stdtrit

from gpu.sliced.estimators import Mean

ALPHA = 0.05
"""What an interval may miss."""

Interval = tuple[float, float]


def half_width(mean: Mean, alpha: float = ALPHA) -> float | None:
    """Student's quantile times the standard error; None where there is no error to go by."""
    if mean.error is None:
        return None
    return mean.error * float(stdtrit(mean.freedom, 1 - alpha / 2)) if mean.error > 0 else 0.0


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
