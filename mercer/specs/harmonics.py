"""How many even spherical harmonics there are, and how many a regression on so many directions may have."""

from __future__ import annotations

from math import comb

SPARE_PROJECTIONS, PER_HARMONIC = 10, 5
"""A regression on q harmonics takes 10 + 5 q directions, or its interval holds the truth nine times in ten."""

HIGHEST_DEGREE = 12
"""Of harmonics; monomials of higher ones are too alike for a regression in float64."""
REGRESSION_FLOPS = 10
"""For the cube of the number of harmonics: eigenvalues and vectors of their products."""
MOST_HARMONICS = 2_100
"""Those of degree 2 in d = 64; a regression on them takes ten seconds of one core."""


def n_harmonics(d: int, degree: int) -> int:
    """Even spherical harmonics of the degrees 2 .. degree in R^d, as many as monomials of that degree but one."""
    return comb(d + degree - 1, degree) - 1


def directions_for_harmonics(d: int, degree: int) -> int:
    """The fewest that a regression on them takes."""
    return SPARE_PROJECTIONS + PER_HARMONIC * n_harmonics(d, degree)


def highest_degree(d: int, n: int) -> int:
    """The largest even degree whose harmonics leave a regression on n directions enough to go by; 0 for none."""
    degrees = (degree for degree in range(2, HIGHEST_DEGREE + 1, 2) if n_harmonics(d, degree) <= MOST_HARMONICS)
    return max((degree for degree in degrees if directions_for_harmonics(d, degree) <= n), default=0)
