"""The loops of the noise samplers: as many comparisons for every sample, whatever comes out."""

from __future__ import annotations

import numpy as np

from gpu.cpu.elementary import exp_negative
from gpu.cpu.intrinsics import from_bits
from gpu.cpu.jit import inner, outer
from gpu.leaves import Floats

MANTISSA_SHIFT = np.uint64(12)
ONE_BITS = np.uint64(0x3FF0000000000000)
"""Of 1.0: with 52 random bits below it, a number in [1, 2)."""


@outer
def laplace(words: Floats, thresholds: Floats, out: Floats) -> int:
    """The sum of 2^k (words[k, i] < thresholds[k]) less that of words[K + k, i], k < K, for each i.

    Returns:
        How many words equal their threshold, so that they do not decide.
    """
    ties = 0
    digits = len(thresholds)
    out[:] = 0
    for k in range(digits):
        plus, minus, threshold = words[k], words[digits + k], thresholds[k]
        for i in range(len(out)):
            out[i] += (int(plus[i] < threshold) - int(minus[i] < threshold)) << k
            ties += int(plus[i] == threshold) + int(minus[i] == threshold)
    return ties


@outer
def accept(
    candidates: Floats, words: Floats, fractions: Floats, constants: tuple[float, float, float, float], out: Floats
) -> None:
    """out[i]: how much the acceptance probability of candidate i exceeds its uniform number.

    Args:
        candidates: (n,) int64.
        words: (n,) uint64, the uniform numbers.
        fractions: (n,) uint64, for the places within the cells.
        constants: Of gpu.private.gaussian.Law.
        out: (n,) float64.
    """
    centre, factor, slope, width = constants
    for i in range(len(out)):
        a = abs(np.float64(candidates[i]))
        y = abs(a + width * (_uniform(fractions[i]) - 0.5))
        r = (y - centre) * factor
        out[i] = exp_negative(-(r * r + (y - a + 0.5 * width) * slope)) - _uniform(words[i])


@inner
def _uniform(word: np.uint64) -> float:
    """The first 52 bits as a number in [0, 1)."""
    return from_bits(np.int64((word >> MANTISSA_SHIFT) | ONE_BITS)) - 1.0


@outer
def compact(candidates: Floats, accepted: Floats, out: Floats) -> int:
    """The accepted candidates in order, into out as far as it goes; how many were accepted. One write for each."""
    count, last = 0, len(out) - 1
    for i in range(len(candidates)):
        place = min(count, last)
        out[place] = candidates[i] if count <= last else out[place]
        count += int(accepted[i])
    return count
