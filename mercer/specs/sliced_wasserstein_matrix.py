"""All sliced Wasserstein distances between several measures, or their Gram matrix."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any, ClassVar, Literal, Self

from pydantic import Field, model_validator

from mercer.arrays import ArrayInfo, DType
from mercer.errors import FieldError
from mercer.points import ArrayReference, ColumnField, PointsField
from mercer.specs.base import Cost, Spec
from mercer.specs.measures import SizesField, check_parts, given_of, misfits, refuse, sizes_misfit, stacked
from mercer.specs.sliced import SORT_FLOPS, WORKING_BYTES, Order, Projections, Seed, bytes_in, size_of

Sampling = Literal["mc", "orthogonal", "equispaced", "lebedev"]

FLOPS_PER_PAIR = 4
"""Of one pair of points of two sorted measures."""
SORT_BYTES = 40
"""Of one point on one line while it is sorted with its weight: two numbers, two weights and a key."""


class SlicedWassersteinMatrix(Spec):
    """All pairs of N measures, shape (N, N), exactly symmetric, over directions theta_l that all pairs share.

    cost:     C[i, j] = sum_l w_l W_p^p(theta_l#measure_i, theta_l#measure_j), an estimate of SW_p^p.
    distance: C[i, j]^(1/p), a metric on what the directions see.
    gram:     exp(-gamma C[i, j]), for p <= 2: exp(-gamma SW_2^2) with p = 2, exp(-gamma SW_1) with p = 1. Positive
              semi-definite, because the directions are shared and w_l >= 0: C[i, j] = ||q_i - q_j||_p^p of the stacked
              quantile functions, which is conditionally negative definite for p <= 2.

    Rabin et al., Wasserstein Barycenter and its Application to Texture Mixing (2012), definition 1; Kolouri et al.,
    Sliced Wasserstein Kernels for Probability Distributions (2016), theorem 5; Schoenberg, Metric spaces and positive
    definite functions (1938).
    """

    kind: Literal["sliced_wasserstein_matrix"] = "sliced_wasserstein_matrix"
    points: PointsField
    """Points of all measures one after another, shape (sum of sizes, d)."""
    sizes: SizesField
    """How many points each measure has."""
    normalize: bool = False
    """Divide the weights of each measure by their sum, which need not be 1."""
    weights: ColumnField | None = None
    """One weight for each of the points, those of each measure of sum 1; equal ones when absent."""
    p: Order = 2.0
    """Order of the distance, at least 1."""
    quantity: Literal["distance", "cost", "gram"] = "distance"
    """SW_p, its p-th power, or the Gram matrix exp(-gamma SW_p^p)."""
    gamma: Annotated[float, Field(gt=0)] | None = None
    """Of the Gram matrix, in the inverse unit of SW_p^p; only with it."""
    method: Literal["auto", "mc", "orthogonal"] = "auto"
    """Directions: independent (mc), in frames of d, or auto: equal angles in 2 dimensions, a Lebedev rule in 3."""
    n_projections: Projections = 100
    """Directions, about: as many as the rules or frames have that come nearest; a single one in one dimension."""
    seed: Seed = 0
    """Of the directions."""
    dtype: DType = "float64"
    """Of projecting and sorting; sums and the result are in float64."""

    examples: ClassVar[tuple[dict[str, Any], ...]] = (
        {
            "kind": "sliced_wasserstein_matrix",
            "points": [[0.0, 0.0], [1.0, 0.0], [0.0, 1.0], [4.0, 4.0], [5.0, 4.0], [2.0, 1.0], [3.0, 1.0], [2.0, 2.0]],
            "sizes": [3, 2, 3],
            "n_projections": 10,
        },
        {
            "kind": "sliced_wasserstein_matrix",
            "points": [[0.0, 0.1, 0.2], [1.0, 0.3, 0.1], [0.5, 0.5, 0.5], [2.0, 0.0, 1.0]],
            "sizes": [2, 2],
            "weights": [0.5, 0.5, 0.25, 0.75],
            "p": 1.0,
            "quantity": "gram",
            "gamma": 0.5,
            "dtype": "float32",
        },
    )

    @classmethod
    def of(cls, measures: Sequence[Any], weights: Sequence[Any] | None = None, **options: Any) -> Self:
        """A job over arrays of shape (n_k, d), with weights of shape (n_k,) for each or for none.

        Raises:
            ValueError: they have different numbers of columns.
        """
        return cls(**stacked(measures, weights), **options)

    @model_validator(mode="after")
    def _options_fit(self) -> Self:
        if (self.gamma is None) == (self.quantity == "gram"):
            raise ValueError("expected gamma with quantity gram, and only with it")
        if self.quantity == "gram" and self.p > 2:
            raise ValueError(f"expected p <= 2 with quantity gram, which is else not positive definite, got {self.p:g}")
        check_parts(self.weights, self.sizes, normalize=self.normalize)
        return self

    def arrays(self) -> dict[str, ArrayReference]:
        """The points, and weights where they are given."""
        return given_of(self, "points", "weights")

    def check(self, infos: Mapping[str, ArrayInfo]) -> None:
        """Sizes that sum to the points, and a weight for each.

        Raises:
            InvalidSpec: naming each field at fault.
        """
        refuse(self._misfits(infos), "The measures do not fit their sizes or their weights.")

    def _misfits(self, infos: Mapping[str, ArrayInfo]) -> Iterator[FieldError]:
        yield from sizes_misfit(infos, self.sizes)
        yield from misfits(infos, "points", "weights")

    def sampling(self, d: int) -> Sampling:
        """How directions in R^d are drawn; those that are fewer than dimensions are nearly orthogonal anyhow."""
        if self.method == "auto":
            rules: dict[int, Sampling] = {2: "equispaced", 3: "lebedev"}
            return rules.get(d, "orthogonal" if d <= self.n_projections else "mc")
        return self.method

    def batch_key(self, infos: Mapping[str, ArrayInfo]) -> str:
        """Kind, dtype, and whether it is small."""
        work = infos["points"].shape[0] * self.n_projections * len(self.sizes)
        return f"{self.kind}:{self.dtype}:{size_of(work)}"

    def cost(self, infos: Mapping[str, ArrayInfo]) -> Cost:
        """Every point projected and sorted once on every line, and met once for each other measure."""
        (total, d), n = infos["points"].shape, len(self.sizes)
        lines = self.n_projections + d
        flops = total * lines * (2 * d + SORT_FLOPS + FLOPS_PER_PAIR * (n - 1))
        held = min(SORT_BYTES * total * lines, WORKING_BYTES + SORT_BYTES * total)
        peak = held + 8 * (2 * d * total + 3 * n * n + lines * (4 * d + 2 * n))
        return Cost(flops, bytes_in(infos), 8 * n * n, peak)
