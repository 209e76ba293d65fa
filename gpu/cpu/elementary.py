"""Elementary functions that LLVM vectorises: numba's own call the scalar C library, ten times slower.

Each is a polynomial after a range reduction, without branches, and within 3 units in the last place. Coefficients are
near-minimax (interpolation in Chebyshev nodes, made with mpmath at 50 digits) or fdlibm's. Constants take the type of x
through `fma` and `like`: a plain literal would widen float32 to float64.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba.core import types

from gpu.cpu.intrinsics import ROUND, exponent, fma, like, mantissa, power_of_two
from gpu.cpu.jit import inner, overload

ROUND_32, ROUND_64 = ROUND[types.float32], ROUND[types.float64]
LOG2_E = 1.4426950408889634
LN2_32, LN2_REST_32 = 0.6931471824645996, -1.904654299957768e-09
LN2_64, LN2_REST_64 = 0.6931471805599453, 2.3190468138462996e-17
PI = 3.141592653589793
EXP_ZERO_32, EXP_ZERO_64 = -87.336, -708.39
"""Below them the result would be subnormal and is taken as 0."""
TANH_SMALL = 0.3465735902799726


def exp_negative(x: float) -> float:
    """exp(x) for x <= 0; exactly 1 at 0, and 0 where it would be subnormal."""
    return float(np.exp(x))


@overload(exp_negative)
def _exp_negative(x: Any) -> Any:
    def single(x: Any) -> Any:
        shifted = fma(x, LOG2_E, ROUND_32)
        k = shifted - like(x, ROUND_32)
        r = fma(k, -LN2_REST_32, fma(k, -LN2_32, x))
        q = fma(r, fma(r, 0.0013926183587713494, 0.008363179052722578), 0.041666554617204574)
        q = fma(r, fma(r, q, 0.16666576989698775), 0.5)
        y = fma(r * r, q, r) + like(x, 1.0)
        return like(x, 0.0) if x < like(x, EXP_ZERO_32) else y * power_of_two(shifted)

    def double(x: Any) -> Any:
        shifted = fma(x, LOG2_E, ROUND_64)
        k = shifted - ROUND_64
        r = fma(k, -LN2_REST_64, fma(k, -LN2_64, x))
        q = fma(r, fma(r, 2.510038549551032e-08, 2.7620088445409746e-07), 2.7557268459997064e-06)
        q = fma(r, fma(r, q, 2.4801521295954376e-05), 0.00019841269863053618)
        q = fma(r, fma(r, q, 0.0013888888917213717), 0.008333333333330062)
        q = fma(r, fma(r, q, 0.04166666666662413), 0.16666666666666669)
        q = fma(r, q, 0.5)
        y = fma(r * r, q, r) + 1.0
        return 0.0 if x < EXP_ZERO_64 else y * power_of_two(shifted)

    return single if x == types.float32 else double


@inner
def log1p(t: float) -> float:
    """log(1 + t) for t >= 0: fdlibm's log, corrected for the rounding of 1 + t."""
    u = like(t, 1.0) + t
    e, m = exponent(u), mantissa(u)
    high = m > like(t, 1.4142135623730951)
    m = m * like(t, 0.5) if high else m
    e = e + like(t, 1.0) if high else e
    f = m - like(t, 1.0)
    s = f / (f + like(t, 2.0))
    z = s * s
    r = fma(z, fma(z, 1.479819860511658591e-01, 1.531383769920937332e-01), 1.818357216161805012e-01)
    r = fma(z, fma(z, r, 2.222219843214978396e-01), 2.857142874366239149e-01)
    r = fma(z, fma(z, r, 3.999999999940941908e-01), 6.666666666666735130e-01) * z
    half_square = like(t, 0.5) * f * f
    rest = fma(e, LN2_REST_64, (t - (u - like(t, 1.0))) / u)
    return fma(e, LN2_64, f - (half_square - fma(s, half_square + r, rest)))


@inner
def tanh(x: float) -> float:
    """Tanh: a polynomial near 0, where 1 - exp would cancel."""
    a = abs(x)
    z = a * a
    g = fma(z, fma(z, -0.00019202753283131075, 0.0005796641245845887), -0.0014545775399280403)
    g = fma(z, fma(z, g, 0.003592038401479678), -0.00886323175761739)
    g = fma(z, fma(z, g, 0.02186948844673358), -0.053968253967190176)
    g = fma(z, fma(z, g, 0.13333333333332845), -0.3333333333333333)
    small = fma(a * z, g, a)
    e = exp_negative(like(x, -2.0) * a)
    large = (like(x, 1.0) - e) / (like(x, 1.0) + e)
    magnitude = small if a < like(x, TANH_SMALL) else large
    return -magnitude if x < like(x, 0.0) else magnitude


@inner
def double_arcsin_root(w: float) -> float:
    """2 arcsin(sqrt(w)) for w >= 0, at most pi: the angle between unit vectors at distance 2 sqrt(w)."""
    w = like(w, 1.0) if w > like(w, 1.0) else w
    far = w > like(w, 0.25)
    h = np.sqrt(w)
    t = like(w, 0.5) * ((like(w, 1.0) - w) / (like(w, 1.0) + h))
    z = t if far else w
    g = np.sqrt(t) if far else h
    p = fma(z, fma(z, 3.47933107596021167570e-05, 7.91534994289814532176e-04), -4.00555345006794114027e-02)
    p = fma(z, fma(z, p, 2.01212532134862925881e-01), -3.25565818622400915405e-01)
    p = fma(z, p, 1.66666666666666657415e-01) * z
    q = fma(z, fma(z, 7.70381505559019352791e-02, -6.88283971605453293030e-01), 2.02094576023350569471e00)
    q = fma(z, fma(z, q, -2.40339491173441421878e00), 1.0)
    arcsin = fma(g, p / q, g)
    return fma(arcsin, -4.0, PI) if far else arcsin + arcsin
