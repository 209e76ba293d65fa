"""The Matern function of any smoothness as a table of polynomials, made once for each nu.

With r = sqrt(2 nu) s the function is k(r) = 2^(1-nu) / Gamma(nu) r^nu K_nu(r). The table holds log k, piecewise in r,
because log k keeps its relative accuracy from k = 1 down to underflow. A segment is an eighth of an octave, so that its
number is in the leading bits of r; within it log k is a polynomial of degree 9 in x, which goes from -1 to 1:

    table[0]                first segment: 8 times the exponent of the smallest r
    table[1]                number of segments
    table[2 + 10 s + i]     coefficient of x^i in segment s

    r = 2^e (1 + (j + f) / 8), 0 <= j < 8, 0 <= f < 1;     s = 8 e + j - table[0];     x = 2 f - 1
    k = 1 where r = 0 or s < 0;   0 where s >= table[1];   exp(min(log k, 0)) else

All numbers are exact or harmless in float32. For nu in [0.05, 500] and any r the relative error of k is below 1e-12
until k underflows (tests/gpu/test_matern.py).
"""

from __future__ import annotations

from fractions import Fraction
from functools import cache, lru_cache

import numpy as np
from scipy.special import gamma, gammaln, kve

from gpu.leaves import Floats

SEGMENT_BITS = 3
"""Segments in an octave: 2^3. Degree 9 then reaches 1e-14, as r = 0, the only singularity, is 17 half-widths away."""
COEFFICIENTS = 10
HEADER = 2

LOG_UNDERFLOW = -750.0
TINY_R_EXPONENT = -25
"""Below 2^-25, r^2 vanishes beside 1."""
LARGE_NU = 13.0
"""Debye's expansion then has all digits, and K_nu overflows for larger nu at small r."""
DEBYE_TERMS = 13


@lru_cache(maxsize=64)
def table(nu: float) -> Floats:
    """The table of one nu, read-only."""
    first, last = _octaves(nu)
    segments = 2**SEGMENT_BITS
    starts = (np.exp2(np.arange(first, last, dtype=np.float64))[:, None] * (1 + np.arange(segments) / segments)).ravel()
    halves = np.repeat(np.exp2(np.arange(first, last, dtype=np.float64)), segments) / (2 * segments)
    nodes, to_coefficients = _interpolation()
    values = log_matern(nu, starts[:, None] + halves[:, None] * (nodes + 1))
    # A straight line is taken out first: the conversion multiplies rounding errors of what it is given.
    slopes = (values[:, -1] - values[:, 0]) / (nodes[-1] - nodes[0])
    middles = values[:, COEFFICIENTS // 2]
    line = middles[:, None] + slopes[:, None] * nodes
    coefficients = (values - line) @ to_coefficients.T
    coefficients[:, 0] += middles
    coefficients[:, 1] += slopes
    out = np.concatenate([[segments * first, len(starts)], coefficients.ravel()])
    out.flags.writeable = False
    return out


def log_matern(nu: float, r: Floats) -> Floats:
    """The logarithm of k(r), r > 0."""
    if nu >= LARGE_NU:
        return _debye(nu, r)
    small = r < 2.0**TINY_R_EXPONENT if nu <= 0.5 else np.zeros(r.shape, dtype=bool)
    out = np.empty(r.shape)
    out[small] = np.log1p(-gamma(1 - nu) / gamma(1 + nu) * (r[small] / 2) ** (2 * nu))
    rest = r[~small]
    scaled = kve(nu, rest)
    out[~small] = ((1 - nu) * np.log(2) - gammaln(nu)) + (nu * np.log(rest) + np.log(scaled)) - rest
    return out


def _debye(nu: float, r: Floats) -> Floats:
    """The uniform expansion (DLMF 10.41.4) with Stirling's for Gamma; the large terms cancel on paper.

    With w = sqrt(1 + (r / nu)^2):  log k = -nu (q - log(1 + q / 2)) - log(w) / 2 + log S(1 / w) - log S(1), q = w - 1.
    """
    z = r / nu
    w = np.hypot(1.0, z)
    q = z * z / (1 + w)
    return -nu * (q - np.log1p(q / 2)) - 0.5 * np.log1p(q) + _log_debye_sum(nu, 1 / w) - _log_debye_sum(nu, np.ones(1))


def _log_debye_sum(nu: float, t: Floats) -> Floats:
    """The logarithm of sum_k (-1)^k u_k(t) / nu^k; at t = 1 it is Stirling's series of Gamma(nu)."""
    total = sum(np.polynomial.polynomial.polyval(t, u) * (-1 / nu) ** k for k, u in enumerate(_debye_polynomials(), 1))
    return np.log1p(total)


@cache
def _debye_polynomials() -> tuple[Floats, ...]:
    """u_1, u_2, ... by u_{k+1} = t^2 (1 - t^2) u_k' / 2 + 1/8 integral_0^t (1 - 5 s^2) u_k ds (DLMF 10.41.9)."""
    u = {0: Fraction(1)}
    out = []
    for _ in range(DEBYE_TERMS):
        following: dict[int, Fraction] = {}
        for power, factor in u.items():
            low, high = factor * Fraction(power, 2), factor * Fraction(power, 2)
            following[power + 1] = following.get(power + 1, Fraction(0)) + low + factor / (8 * (power + 1))
            following[power + 3] = following.get(power + 3, Fraction(0)) - high - 5 * factor / (8 * (power + 3))
        u = following
        out.append(np.array([float(u.get(power, 0)) for power in range(max(u) + 1)]))
    return tuple(out)


@cache
def _interpolation() -> tuple[Floats, Floats]:
    """Chebyshev nodes on [-1, 1], and the matrix from values there to coefficients of powers."""
    nodes = -np.cos(np.pi * (np.arange(COEFFICIENTS) + 0.5) / COEFFICIENTS)
    return nodes, np.linalg.inv(np.vander(nodes, increasing=True))


def _octaves(nu: float) -> tuple[int, int]:
    """Exponents of 2 between which k goes from 1 within rounding to underflow."""
    first = int(-56 / min(2 * nu, 2.0)) - 4
    ends = np.arange(1, 24)
    below = log_matern(nu, np.exp2(ends.astype(np.float64))) < LOG_UNDERFLOW
    return first, int(ends[np.argmax(below)])
