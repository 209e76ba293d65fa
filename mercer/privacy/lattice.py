"""Kernel functions as Fourier series on a torus that is wider than the box, with bounds of what is left out.

On a torus with period P_j (in sides of the box) in each dimension, g(z) = sum_k c_k cos(2 pi sum_j k_j z_j / P_j) over
all integer vectors k. For a Gaussian of standard deviation l_j, g is the sum of its copies at all periods,

    c_k = prod_j sqrt(2 pi) l_j / P_j exp(-(2 pi k_j l_j / P_j)^2 / 2)        (Poisson's summation formula),

and copies make g too large, by at most `wrapped`. For products of e^(-|z_j| / l_j) the period is 2: g is the function
itself for |z_j| <= 1, continued periodically, and nothing is wrapped:

    c_k = prod_j l_j (1 - (-1)^k_j e^(-1 / l_j)) / (1 + (pi k_j l_j)^2).

All c_k are positive, so what is left out of the series is at most g(0) less the coefficients that are kept. 1 / (1 + s)
of an l1 distance s is a mean of e^(-t s) over an exponential t: a sum of products, by the trapezoid rule in log t.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from mercer.privacy.fourier import TURN_BITS, Spectrum
from mercer.privacy.grid import GRID_BITS, Floats

TURNS_PER_SIDE = 2 ** (TURN_BITS - GRID_BITS)
"""A frequency of so many 2^-32 turns for each step of the grid has the period of one side."""
MAX_DIMENSIONS = 3
MAX_SCALE = 512.0
"""Lengthscales, in sides of the box: a period is then at least 2.5 of them."""
EXTENTS = {1: 2**14, 2: 2**8, 3: 2**5}
"""By dimensions, the largest frequency that is looked at: some 2^17 or fewer in all."""
NEGLIGIBLE = 8.0
"""Gaussian coefficients are looked at up to so many standard deviations: the next is below 2e-14 of the first."""
COPIES = 16
"""Of a Gaussian, on each side: the next is 40 lengthscales away."""
ORDER = 2.0**20
"""Coefficients are ordered by logarithms in whole 2^-20, which no rounding of machines tells apart."""
PADDINGS = (2.5, 3.0, 3.5, 4.0, 4.25, 4.5, 4.75, 5.0, 5.5, 6.0, 7.0)
"""Periods of Gaussians that are tried, in lengthscales beyond the side."""
MIXTURE_STEP, MIXTURE_START, MIXTURE_END = 0.25, -36.0, 4.25
"""Of log t: the trapezoid rule errs by e^(-pi^2 / step) = e^-39, and leaves out e^-36 and e^-66."""


class Series(NamedTuple):
    """The largest coefficients of a kernel function, in falling order; a pair k and -k is one."""

    frequencies: Floats
    """(m, d) int64, without 0."""
    constant: float
    """c_0."""
    coefficients: Floats
    """(m,): 2 c_k."""
    total: float
    """g(0): the sum of all, those that are not here too."""


class Axis(NamedTuple):
    """One dimension of a product."""

    coefficients: Floats
    """(2 m + 1,) of -m ... m."""
    total: float
    """The sum of all, those beyond m too."""


def supported(spectrum: Spectrum, d: int) -> bool:
    """Whether there is a series that can be computed to the last digits."""
    return d <= MAX_DIMENSIONS and family(spectrum, d) in SLOPES


def family(spectrum: Spectrum, d: int) -> Spectrum:
    """On a line all norms are one."""
    return ON_A_LINE.get(spectrum, spectrum) if d == 1 else spectrum


def turns_to_try(spectrum: Spectrum, scales: Sequence[float]) -> list[tuple[int, ...]]:
    """Periods, in turns of 2^-32 for each step of the grid: a period is 2^12 / turns sides."""
    if spectrum == "gaussian":
        wanted = [tuple(int(TURNS_PER_SIDE / (1 + padding * one)) for one in scales) for padding in PADDINGS]
        return list(dict.fromkeys(wanted))
    return [(TURNS_PER_SIDE // 2,) * len(scales)]


def series(spectrum: Spectrum, scales: Sequence[float], turns: Sequence[int]) -> Series:
    """All coefficients that are looked at.

    Args:
        spectrum: As `family` gives it.
        scales: (d,) lengthscales in sides of the box.
        turns: (d,) one of `turns_to_try`.
    """
    weights, stretched = _mixture(spectrum, scales)
    make = _gaussian if spectrum == "gaussian" else _laplacian
    axes = [
        [make(scale, TURNS_PER_SIDE / turn, EXTENTS[len(scales)]) for scale in along]
        for along, turn in zip(stretched, turns, strict=True)
    ]
    letters = "abc"[: len(axes)]
    operands = [np.stack([one.coefficients for one in along]) for along in axes]
    values = np.einsum(f"t,{','.join('t' + one for one in letters)}->{letters}", weights, *operands)
    total = float(sum(weights * np.prod([[one.total for one in along] for along in axes], axis=0)))
    flat, middle = values.ravel(), values.size // 2
    order = np.argsort(-np.rint(np.log(np.maximum(flat[middle + 1 :], 1e-300)) * ORDER), kind="stable") + middle + 1
    places = np.unravel_index(order, values.shape)
    frequencies = np.stack([at - size // 2 for at, size in zip(places, values.shape, strict=True)], axis=1)
    return Series(frequencies, float(flat[middle]), 2 * flat[order], total)


def _mixture(spectrum: Spectrum, scales: Sequence[float]) -> tuple[Floats, list[list[float]]]:
    """Weights (t,), and for each dimension t scales: 1 / (1 + s) is the integral of e^(u - e^u) e^(-s e^u) over u."""
    if spectrum != "rational_l1":
        return np.ones(1), [[scale] for scale in scales]
    u = np.arange(MIXTURE_START, MIXTURE_END, MIXTURE_STEP)
    return MIXTURE_STEP * np.exp(u - np.exp(u)), [[scale * math.exp(-one) for one in u] for scale in scales]


def _gaussian(scale: float, period: float, most: int) -> Axis:
    step = 2 * math.pi * scale / period
    k = np.arange(min(most, math.ceil(NEGLIGIBLE / step)) + 1)
    half = math.sqrt(2 * math.pi) * scale / period * np.exp(-((k * step) ** 2) / 2)
    copies = np.exp(-((np.arange(1, COPIES + 1) * period / scale) ** 2) / 2)
    return Axis(np.concatenate([half[:0:-1], half]), float(1 + 2 * copies.sum()))


def _laplacian(scale: float, period: float, most: int) -> Axis:
    """Of e^(-|z| / scale) on [-1, 1], continued with the period 2."""
    k = np.arange(most + 1)
    ends = np.where(k % 2 == 0, -math.expm1(-1 / scale), 1 + math.exp(-1 / scale))
    half = scale * ends / (1 + (2 * math.pi / period * scale * k) ** 2)
    return Axis(np.concatenate([half[:0:-1], half]), 1.0)


def wrapped(spectrum: Spectrum, scales: Sequence[float], turns: Sequence[int], reach: Floats) -> Floats:
    """(n,): at most how far g(z) is above the kernel function where |z_j| <= reach[:, j] <= 1.

    With W_j the copies of one dimension, prod (k_j + W_j) - prod k_j <= prod (1 + W_j) - 1. Copies on the side of z are
    at least l P - |z| away, those on the other side l P.
    """
    log = np.zeros(len(reach))
    if spectrum == "gaussian":
        for j, (scale, turn) in enumerate(zip(scales, turns, strict=True)):
            at = np.arange(1, COPIES + 1) * (TURNS_PER_SIDE / turn)
            near, far = np.exp(-(((at - reach[:, j, None]) / scale) ** 2) / 2), np.exp(-((at / scale) ** 2) / 2)
            log += np.log1p((near + far).sum(axis=1))
    return np.expm1(log)


def steepest(spectrum: Spectrum, scales: Sequence[float]) -> float:
    """How much a kernel value changes at most where each coordinate of z changes by at most 1 side."""
    slopes = 1 / np.array(scales)
    return SLOPES[spectrum] * float(np.sqrt((slopes**2).sum()) if spectrum == "gaussian" else slopes.sum())


SLOPES: dict[Spectrum, float] = {"gaussian": math.exp(-0.5), "laplacian_l1": 1.0, "rational_l1": 1.0}
ON_A_LINE: dict[Spectrum, Spectrum] = {"exponential": "laplacian_l1", "rational_l2": "rational_l1"}
