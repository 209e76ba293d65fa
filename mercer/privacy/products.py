"""Scalar products of a released vector, which are the same bits on every machine."""

from __future__ import annotations

import numpy as np

from mercer.privacy.grid import Floats

POINTS_AT_ONCE = 1_024
TOTAL_BITS = 62


def products(integers: Floats, vector: Floats, limb_bits: int) -> Floats:
    """(n,): integers @ vector in limbs that no sum overflows, so that nothing is rounded before limbs are added.

    Args:
        integers: (n, size) int64; a row's absolute values add up to less than 2^(63 - limb_bits).
        vector: (size,) int64, below 2^62 in absolute value.
        limb_bits: Of the parts that the vector is cut into.
    """
    total = np.zeros(len(integers))
    *_, top = shifts = range(0, TOTAL_BITS, limb_bits)
    for shift in reversed(shifts):
        limb = vector >> shift
        if shift < top:
            limb &= 2**limb_bits - 1
        total = total * 2.0**limb_bits + (integers @ limb).astype(np.float64)
    return total
