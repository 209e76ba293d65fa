"""Discrete Laplace noise from independent binary digits, as many for every sample."""

from __future__ import annotations

from fractions import Fraction
from functools import lru_cache, partial

import numpy as np

from gpu.cpu import noise as compiled
from gpu.leaves import Floats
from gpu.private import exact
from gpu.private.stream import Source, Words

TAIL = Fraction(98)
"""In scales: a geometric variable is above it with probability e^-98 < 2^-141."""
CHUNK_WORDS = 2**17
"""1 MiB: drawn and compared within the cache."""


def draw(scale: Fraction, size: int, words: Source) -> Floats:
    """As gpu.private.noise.discrete_laplace, from words of any source."""
    cuts = thresholds(scale)
    out = np.empty(size, np.int64)
    step = max(1, CHUNK_WORDS // (2 * len(cuts)))
    for start in range(0, size, step):
        part = out[start : start + step]
        drawn = words(2 * len(cuts) * len(part)).reshape(-1, len(part))
        if compiled.laplace(drawn, cuts, part):
            _refine(scale, cuts, drawn, part, words)
    return out


@lru_cache(maxsize=256)
def thresholds(scale: Fraction) -> Words:
    """(K,): the first word of 1 / (1 + e^(2^k / scale)), the probability of a one at digit k; 2^K >= TAIL * scale."""
    digits = max(1, (-(-TAIL * scale // 1) - 1).bit_length())
    return np.array([_threshold(scale, k, 0) for k in range(digits)], np.uint64)


def _threshold(scale: Fraction, k: int, index: int) -> int:
    return exact.word(partial(exact.odds, 2**k / scale), index)


def _refine(scale: Fraction, cuts: Words, drawn: Words, part: Floats, words: Source) -> None:
    """Decide the digits whose first word is the threshold's, by as many more as it takes."""
    for row, i in np.argwhere(drawn == np.tile(cuts, 2)[:, None]).tolist():
        k = row % len(cuts)
        sign = 1 if row < len(cuts) else -1
        part[i] += sign * _below(scale, k, words) << k


def _below(scale: Fraction, k: int, words: Source) -> int:
    index = 1
    while (word := int(words(1)[0])) == (threshold := _threshold(scale, k, index)):
        index += 1
    return int(word < threshold)
