"""Sums of integer features: truncated toward zero, with their norms checked, in integers or in float64 that holds them.

Nothing here depends on the order of records: integers are added, and float64 only where all sums are below 2^53.
"""

from __future__ import annotations

import numpy as np

from gpu.cpu.jit import inner, outer
from gpu.leaves import Floats
from mercer.privacy.fourier import COSINE, HALF_PI, QUARTER, ROUND, SINE

TILE = 128
"""Frequencies whose phases and sums stay in the L1 cache."""
UNROLLED = 4
"""Dimensions that are multiplied at once."""
SAFELY_LESS = 1.0 - 2.0**-48
S0, S1, S2, S3, S4, S5 = SINE
C0, C1, C2, C3, C4, C5, C6 = COSINE


@outer
def blocks(features: Floats, bits: int, sums: Floats) -> None:
    """Add the integer features of all records to sums; those of a block have a sum of squares of at most 4^q.

    A block whose squares add up to more is shrunk by one factor and checked again; if that were not enough (it is,
    where float64 is IEEE 754's) it would count as 0. The work does not depend on the values.

    Args:
        features: (n, count, width) float64, meant to be in [-1, 1].
        bits: q <= 24, width 4^q < 2^62.
        sums: (count, width) int64.
    """
    one = 2.0**bits
    values = np.empty(features.shape[2])
    for i in range(len(features)):
        for b in range(features.shape[1]):
            block, total = features[i, b], sums[b]
            for j in range(len(values)):
                values[j] = truncated(block[j] * one, one)
            factor = _factor(_squares(values), bits)
            for j in range(len(values)):
                values[j] = truncated(values[j] * factor, one)
            kept = int(_squares(values) <= 1 << 2 * bits)
            for j in range(len(values)):
                total[j] += np.int32(values[j]) * kept


@inner
def truncated(value: float, one: float) -> float:
    """Toward zero, in [-one, one]; one for what is no number."""
    value = value if value < one else one
    value = value if value > -one else -one
    return np.float64(np.int32(value))


@inner
def _squares(values: Floats) -> np.int64:
    total = np.int64(0)
    for j in range(len(values)):
        integer = np.int64(np.int32(values[j]))
        total += integer * integer
    return total


@inner
def _factor(squares: np.int64, bits: int) -> float:
    """1, or a little less than what makes the squares add up to 4^q."""
    return 1.0 if squares <= 1 << 2 * bits else 2.0**bits / np.sqrt(np.float64(squares)) * SAFELY_LESS


@outer
def fourier(positions: Floats, turns: Floats, norms: Floats, sums: Floats) -> None:
    """Add the integer cosines and sines of all records to sums; each pair's squares add up to at most its norm's.

    Args:
        positions: (n, d) uint32, n max(norms) <= 2^53, d a multiple of UNROLLED.
        turns: (tiles, d, TILE) uint32.
        norms: (tiles, TILE) float64, whole numbers up to 2^24: what a cosine of 1 is.
        sums: (2, tiles, TILE) int64, of cosines and of sines.
    """
    phases = np.empty(TILE, np.uint32)
    cosines, sines = np.empty(TILE), np.empty(TILE)
    for tile in range(len(turns)):
        cosines[:] = 0.0
        sines[:] = 0.0
        for i in range(len(positions)):
            _phases(positions[i], turns[tile], phases)
            _add(phases, norms[tile], cosines, sines)
        for k in range(TILE):
            sums[0, tile, k] += np.int64(cosines[k])
            sums[1, tile, k] += np.int64(sines[k])


@inner
def _phases(x: Floats, turns: Floats, out: Floats) -> None:
    out[:] = 0
    for j in range(0, len(x), UNROLLED):
        x0, x1, x2, x3 = x[j], x[j + 1], x[j + 2], x[j + 3]
        t0, t1, t2, t3 = turns[j], turns[j + 1], turns[j + 2], turns[j + 3]
        for k in range(TILE):
            out[k] += x0 * t0[k] + x1 * t1[k] + x2 * t2[k] + x3 * t3[k]


@inner
def _add(phases: Floats, norms: Floats, cosines: Floats, sines: Floats) -> None:
    for k in range(TILE):
        cosine, sine = _sines(np.int32(phases[k]))
        c, s = pair(cosine, sine, norms[k])
        cosines[k] += c
        sines[k] += s


@inner
def pair(cosine: float, sine: float, one: float) -> tuple[float, float]:
    """Its integers; where their squares add up to more than one^2, both are halved: at most half of 2 one^2 is left."""
    c, s = truncated(cosine * one, one), truncated(sine * one, one)
    over = c * c + s * s > one * one
    return truncated(0.5 * c, one) if over else c, truncated(0.5 * s, one) if over else s


@inner
def _sines(phase: np.int32) -> tuple[float, float]:
    """As mercer.privacy.fourier.sines, bit for bit."""
    z = np.float64(phase) * QUARTER
    k = (z + ROUND) - ROUND
    t = (z - k) * HALF_PI
    w = t * t
    sine = t + t * (w * (S0 + w * (S1 + w * (S2 + w * (S3 + w * (S4 + w * S5))))))
    cosine = 1.0 + w * (C0 + w * (C1 + w * (C2 + w * (C3 + w * (C4 + w * (C5 + w * C6))))))
    odd = abs(k) == 1.0
    c, s = sine if odd else cosine, cosine if odd else sine
    return -c if (k >= 1.0) | (k == -2.0) else c, -s if (k <= -1.0) | (k == 2.0) else s
