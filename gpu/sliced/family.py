"""Several measures made ready for slicing on the same directions: centred, and scaled alike."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from gpu.leaves import Floats
from gpu.sliced.measures import Measure, centre_of, scale_of, without_zeros


class Family(NamedTuple):
    """Measures k with u = (x - centres[k]) / scale.

    W_p^p(theta#x_k, theta#x_l) = scale^p (W_p^p(theta#u_k, theta#u_l) + (theta . (means[k] - means[l]))^2), for p = 2
    because every u has mean 0 (Peyre and Cuturi, Computational Optimal Transport (2019), remark 2.19); otherwise
    means = 0.
    """

    measures: list[Measure]
    """Without the atoms of weight 0."""
    p: float
    dtype: np.dtype[Any]
    """Of projections; all sums are in float64."""
    centres: list[Floats]
    """(2, d) each: the sum of a large part and a small one."""
    means: Floats
    """(N, d): each measure's mean less that of all, divided by the scale, for p = 2; else 0."""
    scale: float
    """A power of two; nothing is further than 1/2 from the origin."""


def family(measures: Sequence[Measure], p: float, dtype: np.dtype[Any]) -> Family:
    """Drop the atoms of weight 0, centre and scale.

    Raises:
        InvalidSpec: the p-th power of the points' distances is beyond float64.
    """
    kept = [without_zeros(measure) for measure in measures]
    made, bounds = zip(*(centre_of(measure) for measure in kept), strict=True)
    centres = np.stack(made)
    origin = np.stack([(centres[:, 0] / len(kept)).sum(axis=0), np.zeros(kept[0].d)])
    means = (centres - origin).sum(axis=1)
    bound = float(np.max(np.array(bounds) + np.abs(means).max(axis=1)))
    scale = scale_of(2 * math.sqrt(kept[0].d) * bound, p)
    if p == 2:
        return Family(kept, p, dtype, list(centres), means / scale, scale)
    return Family(kept, p, dtype, [origin] * len(kept), np.zeros_like(means), scale)
