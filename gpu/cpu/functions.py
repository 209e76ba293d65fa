"""f(b) of each leaf, in place on strips: short stretches that stay in the L1 cache."""

from __future__ import annotations

import numpy as np

from gpu.cpu.elementary import PI, double_arcsin_root, exp_negative, log1p, tanh
from gpu.cpu.intrinsics import bits, fma, from_bits, like
from gpu.cpu.jit import inner
from gpu.leaves import Floats, Function
from gpu.matern import COEFFICIENTS, HEADER, SEGMENT_BITS

AFFINE, EXP, EXP_ROOT = int(Function.AFFINE), int(Function.EXP), int(Function.EXP_ROOT)
MATERN32, MATERN52, MATERN_TABLE = int(Function.MATERN32), int(Function.MATERN52), int(Function.MATERN_TABLE)
RATIONAL_QUADRATIC, POLYNOMIAL, TANH = int(Function.RATIONAL_QUADRATIC), int(Function.POLYNOMIAL), int(Function.TANH)
ARC_COSINE_0, ARC_COSINE_1 = int(Function.ARC_COSINE_0), int(Function.ARC_COSINE_1)

FRACTION_BITS = 52 - SEGMENT_BITS
FRACTION_MASK = (1 << FRACTION_BITS) - 1
ONE = 1023 << 52
"""The bits of 1.0."""
EXPONENT_BIAS = 1023 << SEGMENT_BITS
LOG_ZERO = -1e4


@inner
def apply(function: int, s: Floats, spare: Floats, size: int, a: float, c: float, table: Floats) -> None:
    """Put f(s) into s."""
    if function == EXP:
        _exponential(s, size, a)
    elif function == AFFINE:
        _affine(s, size, a, c)
    elif function == POLYNOMIAL:
        _affine(s, size, 1.0, c)
        power(s, spare, size, int(a))
    elif function == TANH:
        _tanh(s, size, c)
    elif function >= ARC_COSINE_0:
        _arc_cosine(function, s, size)
    else:
        _of_distance(function, s, size, a, table)


@inner
def power(s: Floats, spare: Floats, size: int, exponent: int) -> None:
    """Raise s to an exponent >= 1, by squaring in the spare strip."""
    for i in range(size):
        spare[i] = s[i]
        s[i] = like(s[i], 1.0)
    while exponent > 0:
        if exponent & 1:
            for i in range(size):
                s[i] *= spare[i]
        exponent >>= 1
        if exponent > 0:
            for i in range(size):
                spare[i] *= spare[i]


@inner
def _of_distance(function: int, s: Floats, size: int, a: float, table: Floats) -> None:
    """The Matern family and the rational quadratic."""
    if function == EXP_ROOT:
        _exponential_root(s, size, a)
    elif function == MATERN32:
        _matern32(s, size, a)
    elif function == MATERN52:
        _matern52(s, size, a)
    elif function == MATERN_TABLE:
        _matern(s, size, a, table)
    elif function == RATIONAL_QUADRATIC:
        _rational_quadratic(s, size, a)


@inner
def _affine(s: Floats, size: int, a: float, c: float) -> None:
    for i in range(size):
        s[i] = fma(s[i], a, c)


@inner
def _exponential(s: Floats, size: int, a: float) -> None:
    for i in range(size):
        s[i] = exp_negative(like(s[i], -a) * s[i])


@inner
def _exponential_root(s: Floats, size: int, a: float) -> None:
    for i in range(size):
        s[i] = exp_negative(-np.sqrt(like(s[i], a) * s[i]))


@inner
def _matern32(s: Floats, size: int, a: float) -> None:
    for i in range(size):
        r = np.sqrt(like(s[i], a) * s[i])
        s[i] = (like(r, 1.0) + r) * exp_negative(-r)


@inner
def _matern52(s: Floats, size: int, a: float) -> None:
    for i in range(size):
        square = like(s[i], a) * s[i]
        r = np.sqrt(square)
        s[i] = fma(square, 0.3333333333333333, r + like(r, 1.0)) * exp_negative(-r)


@inner
def _matern(s: Floats, size: int, a: float, table: Floats) -> None:
    """From a table, whose layout gpu/matern.py tells."""
    for i in range(size):
        s[i] = _log_matern(np.sqrt(a * np.float64(s[i])), table)
    for i in range(size):
        s[i] = exp_negative(s[i])


@inner
def _log_matern(r: float, table: Floats) -> float:
    leading = bits(r) >> FRACTION_BITS
    segment = leading - EXPONENT_BIAS - int(table[0])
    if r == 0.0 or segment < 0:
        return 0.0
    if segment >= int(table[1]):
        return LOG_ZERO
    fraction = from_bits(((bits(r) & FRACTION_MASK) << SEGMENT_BITS) | ONE)
    x = 2.0 * fraction - 3.0
    at = HEADER + COEFFICIENTS * segment
    total = table[at + COEFFICIENTS - 1]
    for i in range(COEFFICIENTS - 2, -1, -1):
        total = fma(total, x, table[at + i])
    return min(total, 0.0)


@inner
def _rational_quadratic(s: Floats, size: int, a: float) -> None:
    for i in range(size):
        s[i] = exp_negative(like(s[i], -a) * log1p(s[i] * like(s[i], 0.5 / a)))


@inner
def _tanh(s: Floats, size: int, c: float) -> None:
    for i in range(size):
        s[i] = tanh(s[i] + like(s[i], c))


@inner
def _arc_cosine(function: int, s: Floats, size: int) -> None:
    """J(theta) / pi from b = 4 sin^2(theta / 2); where order 0 has -b, it is of the angle to the opposite vector."""
    if function == ARC_COSINE_0:
        for i in range(size):
            angle = double_arcsin_root(abs(s[i]) * like(s[i], 0.25)) * like(s[i], 1 / PI)
            s[i] = angle if s[i] < like(s[i], 0.0) else like(s[i], 1.0) - angle
    else:
        for i in range(size):
            w = min(s[i] * like(s[i], 0.25), like(s[i], 1.0))
            rest = like(w, PI) - double_arcsin_root(w)
            cosine = fma(w, -2.0, 1.0)
            sine = like(w, 2.0) * np.sqrt(w * (like(w, 1.0) - w))
            if function == ARC_COSINE_1:
                s[i] = fma(rest, cosine, sine) * like(w, 1 / PI)
            else:
                j = fma(rest, fma(cosine * cosine, 2.0, 1.0), like(w, 3.0) * sine * cosine)
                s[i] = j * like(w, 1 / PI)
