"""Functions of a distance as cosines on a grid: |t|^p exactly, by operations that give the same bits everywhere.

On t = -1, -1 + 1/G, ..., 1 the even function |t|^p of period 2 is sum_k a_k cos(pi k t), k = 0 ... G: the discrete
cosine transform, with as many terms as there are values, so that nothing is left out.
"""

from __future__ import annotations

from decimal import Decimal, localcontext
from functools import lru_cache
from typing import NamedTuple

import numpy as np

from mercer.privacy.fourier import sines
from mercer.privacy.grid import Floats

DIGITS = 30
"""Of powers: float64 has 17."""
NEWTON_STEPS = 12
"""From within a factor of 2 six are enough for float64."""


class Cosines(NamedTuple):
    """sum_k a_k cos(pi k t), the constant apart."""

    constant: float
    frequencies: Floats
    """(K,) int64: k >= 1."""
    coefficients: Floats
    """(K,) float64: a_k."""


@lru_cache(maxsize=32)
def cosines_of_power(p: float, cells: int) -> Cosines:
    """|t|^p on the grid of G cells, a power of two. For p = 1 a_k is -1 / (G sin(pi k / 2G))^2, and 0 for even k."""
    if p == 1:
        odd = np.arange(1, cells, 2)
        _, sine = circle(4 * cells)
        return Cosines(0.5, odd, -1 / (cells * sine[odd]) ** 2)
    values = np.array([power(Decimal(j) / cells, p) for j in range(cells + 1)])
    real, _ = transform(np.concatenate([values, values[-2:0:-1]]), np.zeros(2 * cells))
    halves = np.where(np.arange(1, cells + 1) == cells, 0.5, 1.0)
    return Cosines(float(real[0]) / (2 * cells), np.arange(1, cells + 1), halves * real[1 : cells + 1] / cells)


def power(base: Decimal | float, exponent: float) -> float:
    """base^exponent for base >= 0, by decimal arithmetic: the same on every machine, as `**` of floats need not be."""
    with localcontext() as context:
        context.prec = DIGITS
        return float(Decimal(base) ** Decimal(repr(exponent))) if base else 0.0


def cube_root(values: Floats) -> Floats:
    """Of positive float64, by Newton's method from a power of two."""
    _, exponents = np.frexp(values)
    root = np.ldexp(1.0, exponents // 3)
    for _ in range(NEWTON_STEPS):
        root = (2 * root + values / (root * root)) / 3
    return root


def circle(n: int) -> tuple[Floats, Floats]:
    """Cos and sin of 2 pi m / n, m = 0 ... n - 1, each (n,), n a power of two."""
    return sines((np.arange(n, dtype=np.uint64) * (2**32 // n)).astype(np.uint32).view(np.int32))


def transform(real: Floats, imaginary: Floats) -> tuple[Floats, Floats]:
    """X_k = sum_j x_j e^(2 pi i j k / n), n a power of two, on arrays (n,); Cooley and Tukey (1965).

    Real arithmetic, element by element: no fused operation and no other order on another machine.
    """
    n = len(real)
    cos, sin = circle(n)
    real, imaginary = real.reshape(n, 1), imaginary.reshape(n, 1)
    while len(real) > 1:
        half, length = len(real) // 2, real.shape[1]
        c, s = cos[: n // 2 : n // (2 * length)], sin[: n // 2 : n // (2 * length)]
        turned = real[half:] * c - imaginary[half:] * s, real[half:] * s + imaginary[half:] * c
        real = np.concatenate([real[:half] + turned[0], real[:half] - turned[0]], axis=1)
        imaginary = np.concatenate([imaginary[:half] + turned[1], imaginary[:half] - turned[1]], axis=1)
    return real[0], imaginary[0]


def total(values: Floats) -> Floats:
    """The sum over the last axis, (...,), in one order on every machine: of halves, and of halves of these."""
    while (n := values.shape[-1]) > 1:
        half = n // 2
        folded = values[..., :half] + values[..., half : 2 * half]
        values = folded if n % 2 == 0 else np.concatenate([folded, values[..., -1:]], axis=-1)
    return values[..., 0] if values.shape[-1] else np.zeros(values.shape[:-1])
