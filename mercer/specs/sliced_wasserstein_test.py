"""The two-sample test by permutations."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

import numpy as np
from pydantic import Field

from mercer import plots
from mercer.arrays import ArrayInfo, DType
from mercer.points import ArrayReference, PointsField
from mercer.specs.base import Cost, Spec
from mercer.specs.measures import refuse, same_dimension
from mercer.specs.sliced import (
    BYTES_PER_PROJECTION,
    WORKING_BYTES,
    Order,
    Projections,
    Seed,
    n_points,
    size_of,
    slicing_flops,
)

DIVISIONS = 16
"""Permutations that one thread draws and computes together."""
THREADS = 64
"""More than most machines have; each holds the permutations that it computes."""
FLOPS_PER_POINT = 4
"""Of one permutation on one line."""


@dataclass(frozen=True)
class TwoSampleTest:
    """Whether two samples come from one distribution."""

    p_value: float
    """(1 + #{b: T_b >= T}) / (B + 1): under the null hypothesis P(p_value <= a) <= a for every a."""
    standard_error: float
    """Of the p-value, from drawing B permutations instead of taking all of them."""
    statistic: float
    """T, the estimate of SW_p^p."""
    permuted: np.ndarray[Any, Any]
    """(B,) T_b: the same of the pooled points divided at random."""
    n_projections: int
    """Directions that T is the mean over."""

    def __str__(self) -> str:
        return (
            f"p-value {self.p_value:.4g} (standard error {self.standard_error:.2g}): SW_p^p = {self.statistic:.6g}, "
            f"and {self.permuted.mean():.6g} on average over {len(self.permuted)} permutations"
        )

    def plot(self, path: str | os.PathLike[str]) -> Path:
        """Save a histogram of the permuted statistics with the observed one.

        Raises:
            PlotsNotInstalled: matplotlib is missing.
        """
        title = f"p-value {self.p_value:.4g}, {len(self.permuted)} permutations"
        return plots.histogram(self.permuted, path, mark=self.statistic, label="$SW_p^p$", title=title)


class SlicedWassersteinTest(Spec):
    """Permutation test of whether two samples come from one distribution.

    T = 1/L sum_l W_p^p(theta_l#x, theta_l#y), x of shape (n, d), y of shape (m, d); T_b is the same of all n + m
    points divided at random into n and m.

    p-value = (1 + #{b: T_b >= T}) / (B + 1), valid at every level and sample size because the observed division is one
    of B + 1 that are exchangeable under the null hypothesis; the directions do not depend on who is x and who is y.
    The result is T_1, ..., T_B, shape (B,).

    Statistic: Bonneel et al., Sliced and Radon Wasserstein Barycenters of Measures (2015), definition 2. Test: Phipson
    and Smyth, Permutation p-values should never be zero (2010), eq. 2; Lehmann and Romano, Testing Statistical
    Hypotheses (2005), theorem 15.2.1.
    """

    kind: Literal["sliced_wasserstein_test"] = "sliced_wasserstein_test"
    x: PointsField
    """First sample, shape (n, d)."""
    y: PointsField
    """Second sample, shape (m, d)."""
    p: Order = 2.0
    """Order of the distance, at least 1."""
    n_projections: Projections = 100
    """Directions; in one dimension a single one is enough and is taken."""
    n_permutations: Annotated[int, Field(ge=1, le=100_000)] = 999
    """Divisions drawn; the p-value is at least 1 / (n_permutations + 1)."""
    method: Literal["auto", "mc", "orthogonal"] = "auto"
    """How directions are drawn: independent (mc), in orthogonal frames of d, or auto: frames unless d is the larger."""
    seed: Seed = 0
    """Of the directions and of the permutations."""
    dtype: DType = "float64"
    """Of projecting and sorting; sums are in float64."""

    examples: ClassVar[tuple[dict[str, Any], ...]] = (
        {
            "kind": "sliced_wasserstein_test",
            "x": [[0.0, 0.1], [0.3, -0.2], [-0.1, 0.4]],
            "y": [[1.0, 1.2], [1.3, 0.9], [0.8, 1.1], [1.1, 1.5]],
            "n_projections": 10,
            "n_permutations": 99,
        },
        {
            "kind": "sliced_wasserstein_test",
            "x": [[0.5], [1.5], [2.5]],
            "y": [[1.0], [2.0], [3.0]],
            "p": 1.0,
            "n_permutations": 19,
            "method": "mc",
            "seed": 7,
            "dtype": "float32",
        },
    )

    @classmethod
    def answer(cls, array: np.ndarray[Any, Any], facts: Mapping[str, Any]) -> TwoSampleTest:
        """The test with its p-value."""
        return TwoSampleTest(**facts, permuted=array)

    def arrays(self) -> dict[str, ArrayReference]:
        """Both samples."""
        return {"x": self.x, "y": self.y}

    def check(self, infos: Mapping[str, ArrayInfo]) -> None:
        """The same d for x and y.

        Raises:
            InvalidSpec: they have not.
        """
        refuse(same_dimension(infos), "The samples do not fit each other.")

    def sampling(self, d: int) -> Literal["mc", "orthogonal"]:
        """How directions in R^d are drawn; where they are fewer than dimensions they are nearly orthogonal anyhow."""
        if self.method == "auto":
            return "orthogonal" if d <= self.n_projections else "mc"
        return self.method

    def batch_key(self, infos: Mapping[str, ArrayInfo]) -> str:
        """Kind, dtype, and whether it is small."""
        work = n_points(infos) * self.n_projections * self.n_permutations
        return f"{self.kind}:{self.dtype}:{size_of(work)}"

    def cost(self, infos: Mapping[str, ArrayInfo]) -> Cost:
        """All n + m numbers for each of B permutations on each of L lines; memory for some lines at a time."""
        total, d = n_points(infos), infos["x"].shape[1]
        permuting = FLOPS_PER_POINT * total * self.n_projections * self.n_permutations
        lines = min(BYTES_PER_PROJECTION * total * self.n_projections, WORKING_BYTES + BYTES_PER_PROJECTION * total)
        divisions = total * min(self.n_permutations, THREADS * DIVISIONS)
        frames = -(-self.n_projections // d) + 1 if self.sampling(d) == "orthogonal" else 0
        points = 8 * d * (5 * total + 3 * self.n_projections + 4 * d * frames) + 48 * total
        return Cost(
            slicing_flops(infos, self.n_projections, d) + permuting,
            8 * d * total,
            8 * self.n_permutations,
            lines + divisions + points,
        )
