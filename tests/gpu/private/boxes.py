"""Public boxes."""

from typing import NamedTuple


class Box(NamedTuple):
    """As the terms of a data set have it."""

    low: tuple[float, ...]
    high: tuple[float, ...]


def cube(d, low=0.0, high=1.0):
    return Box((low,) * d, (high,) * d)
