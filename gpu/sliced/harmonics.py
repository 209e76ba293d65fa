"""Even spherical harmonics up to a degree, spanned by the monomials of that degree: on the sphere they are the same.

|theta|^2 = 1 makes a polynomial of a lower even degree one of the highest; a regression does not see the basis.
"""

from __future__ import annotations

from functools import lru_cache
from itertools import combinations_with_replacement
from math import prod
from typing import NamedTuple

import numpy as np

from gpu.leaves import Floats


class Controls(NamedTuple):
    """Functions with known means."""

    values: Floats
    """(L, q)"""
    means: Floats
    """(q,)"""


def monomials(rows: Floats, degree: int) -> Controls:
    """All of a degree, one column each.

    E theta^a = prod (a_i - 1)!! / (d (d + 2) ... (d + degree - 2)) where all exponents are even, else 0
    (Folland, How to integrate a polynomial over a sphere, 2001).
    """
    exponents = _exponents(rows.shape[1], degree)
    values = np.ones((len(rows), len(exponents)))
    for column, powers in enumerate(exponents):
        for axis in np.flatnonzero(powers):
            values[:, column] *= rows[:, axis] ** powers[axis]
    return Controls(values, np.array([_mean(powers.tolist(), degree) for powers in exponents]))


@lru_cache(maxsize=32)
def _exponents(d: int, degree: int) -> Floats:
    """Of all monomials of a degree, (q + 1, d)."""
    chosen = combinations_with_replacement(range(d), degree)
    return np.array([np.bincount(axes, minlength=d) for axes in chosen])


def _mean(powers: list[int], degree: int) -> float:
    d = len(powers)
    if any(power % 2 for power in powers):
        return 0.0
    return prod(_double_factorial(power - 1) for power in powers) / prod(range(d, d + degree, 2))


def _double_factorial(odd: int) -> int:
    return prod(range(1, odd + 1, 2))
