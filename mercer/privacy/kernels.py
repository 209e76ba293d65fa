"""Values of kernel functions that are the same bits on every machine: additions, products and roots of IEEE 754 alone.

NumPy's own exponential and its sums differ in the last place from processor to processor. Here the exponential is a
polynomial, and sums go from one dimension to the next.
"""

from __future__ import annotations

import numpy as np

from mercer.privacy.fourier import ROUND, Spectrum
from mercer.privacy.grid import Floats

FUNCTIONS: dict[Spectrum, tuple[int, bool]] = {
    "gaussian": (0, False),
    "exponential": (1, False),
    "laplacian_l1": (0, True),
    "rational_l2_squared": (2, False),
    "rational_l2": (3, False),
    "rational_l1": (2, True),
}
"""Of the base b: e^-b, e^(-sqrt b), 1 / (1 + b), 1 / (1 + sqrt b), from 0; and whether b is the sum of absolute
differences in lengthscales, and not of squares."""

SQRT_HALF = 0.7071067811865476
LOG2_E = 1.4426950408889634
LN2_HIGH, LN2_LOW = 0.6931471803691238, 1.9082149292705877e-10
"""fdlibm's: the product of the first, which has 32 bits, and a whole number up to 2^11 is exact."""
INVERSE_FACTORIALS = (1.0, 1.0, 1 / 2, 1 / 6, 1 / 24, 1 / 120, 1 / 720, 1 / 5040, 1 / 40320, 1 / 362880) + (
    *(1 / 3628800, 1 / 39916800, 1 / 479001600, 1 / 6227020800),
)
"""Up to the 13th power: for |r| <= ln 2 / 2 the rest is below 2^-57."""
LARGEST = 708.0
"""e^-b is taken as 0 beyond it, where it would become subnormal."""


def scaled(spectrum: Spectrum, scale: Floats | float, points: Floats) -> Floats:
    """Points in lengthscales; e^(-|z|^2 / 2) is e^-b for half the squares."""
    factor = SQRT_HALF if spectrum == "gaussian" else 1.0
    return points * (factor / np.asarray(scale, np.float64))


def kernel_values(spectrum: Spectrum, points: Floats, centres: Floats) -> Floats:
    """(n, D) float64 of scaled points, (n, d) and (D, d); within 4 units in the last place of the base's."""
    function, absolute = FUNCTIONS[spectrum]
    base = np.zeros((len(points), len(centres)))
    for x, z in zip(points.T, centres.T, strict=True):
        difference = x[:, None] - z
        base += np.abs(difference) if absolute else difference * difference
    if function & 1:
        base = np.sqrt(base)
    return 1.0 / (1.0 + base) if function & 2 else exp_negative(base)


def exp_negative(b: Floats) -> Floats:
    """e^-b for b >= 0, within a unit in the last place or two."""
    kept = np.minimum(b, LARGEST)
    k = (ROUND - kept * LOG2_E) - ROUND
    r = (-kept - k * LN2_HIGH) - k * LN2_LOW
    total = np.full_like(r, INVERSE_FACTORIALS[-1])
    for coefficient in INVERSE_FACTORIALS[-2::-1]:
        total *= r
        total += coefficient
    return np.where(b > LARGEST, 0.0, np.ldexp(total, k.astype(np.int32)))


def folded(values: Floats) -> Floats:
    """(n,): the sums of rows, added in halves: everywhere in the same order. The values, (n, D), are overwritten."""
    width = values.shape[1]
    while width > 1:
        half = (width + 1) // 2
        values[:, : width - half] += values[:, half:width]
        width = half
    return values[:, 0].copy()
