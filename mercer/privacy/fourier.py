"""Random Fourier features in whole numbers of turns, so that every machine computes the same bits.

Rahimi and Recht, Random features for large-scale kernel machines (2007): k(x - y) = E cos(w (x - y)), where w follows
the kernel function's spectral measure, so that the mean of cos(w x) cos(w y) + sin(w x) sin(w y) over some w estimates
k. Points are whole steps of the box's grid and frequencies whole 2^-32 turns for each step; a phase is their scalar
product modulo 2^32, which no order of summation changes. Sines are polynomials of additions and multiplications that
IEEE 754 defines, none of them fused.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from mercer.privacy.grid import GRID_BITS, Bounds, Floats, clean, grid, half_widths

Spectrum = Literal["gaussian", "exponential", "laplacian_l1", "rational_l2_squared", "rational_l2", "rational_l1"]
"""With z the difference over the scale: e^(-||z||^2 / 2), e^(-||z||), e^(-||z||_1), 1 / (1 + ||z||^2), 1 / (1 + ||z||),
1 / (1 + ||z||_1)."""

TURN_BITS = 32
HALF_BITS = 16
MAX_DIMENSIONS = 2**16
"""Products of a grid position and half a frequency then add up to less than 2^53, which float64 adds exactly."""
SINE = (-1 / 6, 1 / 120, -1 / 5040, 1 / 362880, -1 / 39916800, 1 / 6227020800)
COSINE = (-1 / 2, 1 / 24, -1 / 720, 1 / 40320, -1 / 3628800, 1 / 479001600, -1 / 87178291200)
"""Taylor's coefficients from t^3 and t^2 on: for |t| <= pi / 4 the rest is below 2^-45 and 2^-49."""
HALF_PI = 1.5707963267948966
ROUND = 1.5 * 2.0**52
"""Added and subtracted again, it rounds to the nearest integer."""
QUARTER = 2.0**-30


@dataclass(frozen=True)
class FourierFeatures:
    """cos(w_k x) and sin(w_k x) for points x of a box and m frequencies w_k."""

    bounds: Bounds
    turns: Floats = field(repr=False)
    """(d, m) uint32: of each frequency and dimension, 2^-32 turns for each step of the grid."""

    @classmethod
    def draw(cls, spectrum: Spectrum, scale: Floats | float, bounds: Bounds, m: int, seed: int) -> FourierFeatures:
        """Draw m frequencies of a kernel function, by a public seed that has nothing to do with the noise.

        Args:
            spectrum: The kernel function.
            scale: Its lengthscale, one number or (d,).
            bounds: The box where points are.
            m: How many frequencies; a record has 2 m features.
            seed: Of NumPy's Philox generator.

        Raises:
            ValueError: the scale is not positive, or there are more than 65,536 dimensions.
        """
        d = len(bounds.low)
        scales = np.broadcast_to(np.asarray(scale, np.float64), d)
        if d > MAX_DIMENSIONS or not (np.isfinite(scales) & (scales > 0)).all():
            raise ValueError(f"Expected a finite scale above 0 and at most {MAX_DIMENSIONS} dimensions.")
        rng = np.random.Generator(np.random.Philox(key=seed))
        with np.errstate(all="ignore"):  # heavy tails: what is not finite is taken as 0 turns
            per_step = SPECTRA[spectrum](rng, m, d).T / np.pi * (half_widths(bounds) / scales)[:, None]
            turns = np.rint(np.nan_to_num(per_step * 2.0 ** (TURN_BITS - GRID_BITS), posinf=0, neginf=0))
        return cls(bounds, np.mod(turns, 2.0**TURN_BITS).astype(np.uint32))

    @property
    def m(self) -> int:
        """Frequencies."""
        return int(self.turns.shape[1])

    def values(self, points: Floats) -> Floats:
        """(n, 2 m) float64 in [-1, 1]: all cosines, then all sines, of any points, which are cleaned first."""
        return np.concatenate(sines(phases(grid(self.bounds, clean(self.bounds, points)), self.turns)), axis=1)


def phases(positions: Floats, turns: Floats) -> Floats:
    """(n, m) int32: positions @ turns modulo 2^32, from two products in float64 that are exact."""
    x = positions.astype(np.float64)
    low = x @ (turns & (2**HALF_BITS - 1)).astype(np.float64)
    high = x @ (turns >> HALF_BITS).astype(np.float64)
    total = low + np.mod(high, 2.0**HALF_BITS) * 2.0**HALF_BITS
    return np.mod(total, 2.0**TURN_BITS).astype(np.uint32).view(np.int32)


def sines(phases: Floats) -> tuple[Floats, Floats]:
    """Cosines and sines, float64, of int32 phases in 2^-32 turns; within 2^-44, and at most 1."""
    z = phases * QUARTER
    k = (z + ROUND) - ROUND
    t = (z - k) * HALF_PI
    w = t * t
    sine, cosine = t + t * (w * _polynomial(SINE, w)), 1 + w * _polynomial(COSINE, w)
    odd = np.abs(k) == 1
    c, s = np.where(odd, sine, cosine), np.where(odd, cosine, sine)
    return np.where((k >= 1) | (k == -2), -c, c), np.where((k <= -1) | (k == 2), -s, s)


def _polynomial(coefficients: tuple[float, ...], w: Floats) -> Floats:
    total = np.full_like(w, coefficients[-1])
    for coefficient in coefficients[-2::-1]:
        total *= w
        total += coefficient
    return total


def _normal(rng: np.random.Generator, m: int, d: int) -> Floats:
    return rng.standard_normal((m, d))


def _cauchy(rng: np.random.Generator, m: int, d: int) -> Floats:
    return rng.standard_normal((m, d)) / np.abs(rng.standard_normal((m, 1)))


def _cauchies(rng: np.random.Generator, m: int, d: int) -> Floats:
    return rng.standard_cauchy((m, d))


Draw = Callable[[np.random.Generator, int, int], Floats]


def _mixed(draw: Draw, power: float, factor: float) -> Draw:
    """Each frequency times (factor t)^power, t exponential: the mean of e^(-t h) over t is 1 / (1 + h)."""
    return lambda rng, m, d: draw(rng, m, d) * (factor * rng.standard_exponential((m, 1))) ** power


SPECTRA: dict[Spectrum, Draw] = {
    "gaussian": _normal,
    "exponential": _cauchy,
    "laplacian_l1": _cauchies,
    "rational_l2_squared": _mixed(_normal, 0.5, 2.0),
    "rational_l2": _mixed(_cauchy, 1.0, 1.0),
    "rational_l1": _mixed(_cauchies, 1.0, 1.0),
}
