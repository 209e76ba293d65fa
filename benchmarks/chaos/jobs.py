"""Jobs of which no two are equal, so that each result says whose it is."""

from functools import cache
from typing import NamedTuple

import numpy as np

import mercer
from mercer.kernels import Gaussian

LONG = -1
"""The number of a job that computes for a second or so."""

MEDIUM_EVERY = 25
"""Of so many jobs one has its result in the store."""

SLOW_EVERY = 101
"""Of so many jobs one computes for long enough to be met by faults."""

POISON_FROM = 1_000_000
"""Jobs from this number on kill the process that computes them (poison.py)."""

CHECKED_ROWS = 8


class Shape(NamedTuple):
    """What a job costs."""

    n: int
    d: int
    terms: int
    dtype: str


def shape(number: int) -> Shape:
    """Of a job."""
    if number == LONG:
        return Shape(6_000, 32, 16, "float32")
    if number % SLOW_EVERY == SLOW_EVERY - 1 and number < POISON_FROM:
        return Shape(1_500, 3, 16, "float32")
    return Shape(100 if number % MEDIUM_EVERY == 0 and number < POISON_FROM else 8, 3, 1, "float64")


@cache
def points(n: int, d: int) -> np.ndarray:
    """The same for all jobs of a shape."""
    return np.random.default_rng(0).normal(size=(n, d))


def lengthscales(number: int) -> list[float]:
    """Those of its terms; the number is in all of them."""
    return [1.0 + number / 100 + term / 10 for term in range(shape(number).terms)]


def job(number: int) -> mercer.Gram:
    """A sum of Gaussian kernel functions."""
    n, d, _, dtype = shape(number)
    first, *others = [Gaussian(lengthscale=one) for one in lengthscales(number)]
    return mercer.Gram(kernel=sum(others, first), x=points(n, d), dtype=dtype)


def right(number: int, result: np.ndarray) -> bool:
    """Whether the first rows are those of the job's matrix, by the formula."""
    n, d, _, dtype = shape(number)
    x = points(n, d)
    squares = ((x[:CHECKED_ROWS, None] - x[None]) ** 2).sum(axis=2)
    expected = sum(np.exp(-squares / (2 * one**2)) for one in lengthscales(number))
    # A float32 result has the rounding of its input's coordinates and of 16 terms: some hundred units of 6e-8.
    tolerance = 1e-10 if dtype == "float64" else 1e-4
    return result.shape == (n, n) and bool(np.allclose(result[:CHECKED_ROWS], expected, rtol=0, atol=tolerance))
