"""From the costs of slices to the mean over all directions, with its standard error."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from gpu.leaves import Floats
from gpu.sliced.directions import Directions

GUARD = 1e-24
"""Added to the control's second moment in the paper's code, so that a control of 0 is no division by 0."""

CONSTANT = 1e-12
"""A control that varies by less than this share of its values varies by rounding."""


class Mean(NamedTuple):
    """An estimate of the mean over the sphere."""

    value: float
    error: float | None
    """Standard error; None where there is a single replicate."""
    freedom: int
    """Degrees of freedom of the error."""
    shifted: bool = False
    """Whether the replicates are grids shifted at random, whose errors are not normal: see gpu.sliced.intervals."""


def of_replicates(costs: Floats, drawn: Directions) -> Mean:
    """The mean of independent replicates, single directions among them; the error is that of their spread."""
    means = drawn.means(costs)
    freedom = len(means) - 1
    error = _deviation(means) / math.sqrt(len(means)) if freedom else None
    return Mean(float(means.mean()), error, freedom)


def _deviation(values: Floats) -> float:
    """The standard deviation."""
    unit = _unit(values)
    return float((values / unit).std(ddof=1)) * unit


def _unit(values: Floats) -> float:
    """A power of two near the largest, in units of which no square overflows."""
    return math.ldexp(1.0, math.frexp(float(np.abs(values).max()))[1] - 1)


def paper(costs: Floats, control: Floats, control_mean: float) -> Mean:
    """The mean of f - g D, D = C - E C, with g = mean((f - mean f) D) / (mean D^2 + 1e-24).

    Nguyen and Ho (2024), definition 1, as the paper's code has it. The error is that of f - g D at its g.
    """
    difference = control - control_mean
    coefficient = ((costs - costs.mean()) * difference).mean() / ((difference**2).mean() + GUARD)
    value = float(costs.mean() - coefficient * difference.mean())
    freedom = len(costs) - 2
    if freedom < 1:
        return Mean(value, None, 0)
    spread = _deviation(costs - coefficient * difference) * math.sqrt((len(costs) - 1) / freedom)
    return Mean(value, spread / math.sqrt(len(costs)), freedom)


def least_squares(costs: Floats, controls: Floats, means: Floats) -> Mean:
    """The intercept of the regression of f on controls (L, q) that are centred at their known means (q,).

    Its error is that of ordinary least squares, so that a control that tells all gives it exactly. Controls that do not
    vary tell nothing and are left out.
    """
    spread = controls.std(axis=0)
    varying = spread > CONSTANT * (np.abs(controls).max(axis=0, initial=0) + np.abs(means))
    design = (controls - controls.mean(axis=0))[:, varying] / spread[varying]
    offset = (controls.mean(axis=0) - means)[varying] / spread[varying]
    inverse = np.linalg.pinv(design.T @ design, hermitian=True)
    coefficients = inverse @ (design.T @ costs)
    value = float(costs.mean() - coefficients @ offset)
    freedom = len(costs) - 1 - len(offset)
    if freedom < 1:
        return Mean(value, None, 0)
    unit = _unit(costs)
    left = (costs - costs.mean() - design @ coefficients) / unit
    inflation = 1 / len(costs) + float(offset @ inverse @ offset)
    return Mean(value, math.sqrt(float(left @ left) / freedom * inflation) * unit, freedom)


def with_known(mean: Mean, known: float, known_error: float = 0.0) -> Mean:
    """The estimate of a difference and the mean of what was subtracted, which has an error of its own."""
    error = None if mean.error is None else math.hypot(mean.error, known_error)
    return Mean(mean.value + known, error, mean.freedom)


def n_effective(costs: Floats, drawn: Directions, error: float | None) -> float | None:
    """Independent directions of plain Monte Carlo with this standard error; None where that is 0 or not known."""
    if not error or len(costs) < 2:
        return None
    mean = drawn.weights @ costs
    return float(drawn.weights @ ((costs - mean) / error) ** 2) * len(costs) / (len(costs) - 1)
