"""When a job with a tolerance stops, and how many directions it takes next. Pure: it draws and computes nothing.

A job that looks at its interval again and again and stops when it is narrow would stop too often by luck. Look k = 1,
2, ... therefore takes the interval of level 1 - 0.05 / 2^k: all of them hold together with probability 0.95.
"""

from __future__ import annotations

import math

from gpu.sliced.directions import Layout, Sampling, turned
from gpu.sliced.estimators import Mean
from gpu.sliced.intervals import ALPHA, half_width, quantile

FIRST = 128
"""Independent directions that a job begins with."""
FEW_FRAMES = 8
"""Orthogonal frames whose spread tells an error, and that a job with a tolerance begins with."""
MOST_FIRST = 512
"""Directions that whole frames may take to begin with."""
FIRST_TURNS, LATER_TURNS = 8, 4
"""Of a rule: the first round finds out how large it must be, and then fewer turns of a larger one are better."""
FIRST_RULE = 104
"""Directions of the first turns together."""
DECAY: dict[Sampling, float] = {"mc": 0.5, "orthogonal": 0.5, "spiral": 1.5, "lebedev": 2.0, "equispaced": 2.0}
"""The error falls with the number of directions to about this power; measured on shapes and images."""
MARGIN = 1.1
"""More than the last error says is needed, because the next one varies."""
LEAST_GROWTH, MOST_GROWTH = 1.5, 1_000.0
"""Of the number of directions."""


def level(look: int) -> float:
    """What the interval of a look may miss; all looks together 0.05."""
    return float(ALPHA / 2**look)


def accumulates(sampling: Sampling) -> bool:
    """Whether a round adds to those before it; a larger rule takes the place of a smaller one."""
    return sampling in ("mc", "orthogonal")


def first(sampling: Sampling, d: int, at_least: int, limit: int) -> Layout | None:
    """The first round; None where the limit leaves too few replicates for an error.

    Args:
        sampling: Of the directions.
        d: Dimensions.
        at_least: Directions that the estimator needs.
        limit: Directions that may be taken in all.
    """
    if sampling == "mc":
        return _within(Layout(max(FIRST, at_least), 1), limit)
    if sampling == "orthogonal":
        return _within(Layout(FEW_FRAMES, d), limit)
    shape = turned(sampling, min(FIRST_RULE, limit), FIRST_TURNS)
    return shape if shape.n <= limit else None


def following(sampling: Sampling, last: Layout, mean: Mean, target: float, look: int, left: int) -> Layout | None:
    """The next round, after a look that found the interval too wide; None where the limit leaves none.

    Args:
        sampling: Of the directions.
        last: All replicates that the last look was taken on.
        mean: What it found.
        target: The half-width that is wanted.
        look: Its number, from 1.
        left: Directions that may still be taken.
    """
    width = half_width(mean, level(look + 1))
    wanted = (MARGIN * width / target) ** (1 / DECAY[sampling]) if width is not None and target > 0 else MOST_GROWTH
    if accumulates(sampling):
        growth = min(max(wanted, LEAST_GROWTH), MOST_GROWTH)
        return _within(Layout(math.ceil((growth - 1) * last.replicates), last.size), left, fewest=1)
    # The same error of one turn, but fewer of them and a wider quantile.
    later, before = (
        quantile(turns - 1, level(look + 1), shifted=mean.shifted) for turns in (LATER_TURNS, last.replicates)
    )
    wider = math.sqrt(last.replicates / LATER_TURNS) * later / before
    growth = min(max(wanted * wider ** (1 / DECAY[sampling]), LEAST_GROWTH), MOST_GROWTH)
    n = min(math.ceil(growth * last.size) * LATER_TURNS, left)
    shape = turned(sampling, n, LATER_TURNS)
    return shape if last.size < shape.size and shape.n <= left else None


def _within(shape: Layout, limit: int, fewest: int = 2) -> Layout | None:
    """As many of the replicates as the limit allows."""
    replicates = min(shape.replicates, limit // shape.size)
    return Layout(replicates, shape.size) if replicates >= fewest else None
