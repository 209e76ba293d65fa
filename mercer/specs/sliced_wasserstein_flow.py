"""The gradient flow from one cloud of points to another."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, Self

import numpy as np
from pydantic import Field, model_validator

from mercer import plots
from mercer.arrays import ArrayInfo, DType
from mercer.errors import FieldError
from mercer.points import ArrayReference, PointsField
from mercer.specs.base import Cost, Spec
from mercer.specs.measures import WeightsField, refuse
from mercer.specs.sliced import (
    Projections,
    Seed,
    arrays_of,
    bytes_in,
    measure_misfits,
    projected,
    size_class,
    slicing_bytes,
    slicing_flops,
    tupled,
)

MAX_ASSIGNED = 4_096
"""Points on each side up to which W_2 is computed exactly: 40 s of one core."""
ONLY_FOR = {"spiral": 3, "lebedev": 3, "equispaced": 2}
"""Dimensions that a method is made for."""

Method = Literal["mc", "lcv", "ucv", "centred", "orthogonal", "spiral", "lebedev", "equispaced"]


@dataclass(frozen=True)
class FlowSnapshots:
    """Points on their way."""

    points: np.ndarray[Any, Any]
    """(S, n, d): the moved points after each of `steps`."""
    steps: tuple[int, ...]
    """How many steps were made before each snapshot."""
    estimates: tuple[float, ...]
    """Of SW_2^2 to the target at each snapshot; below 0 where a control overshoots."""
    method: str
    n_projections: int
    """Directions of each step."""
    step_size: float
    exact_w2_squared: tuple[float, ...] | None
    """W_2^2 to the target, where it was asked for."""
    plain_steps: int
    """Steps of the rooted loss that took the plain estimate, because the controlled one was not above 0."""

    def __str__(self) -> str:
        names = ["step", "SW_2^2", *(["W_2^2"] if self.exact_w2_squared else [])]
        columns = [self.steps, self.estimates, *([self.exact_w2_squared] if self.exact_w2_squared else [])]
        rows = ["".join(f"{number:>14.6g}" for number in row) for row in zip(*columns, strict=True)]
        head = f"{self.method}, {self.n_projections} directions a step, step size {self.step_size:.4g}"
        return "\n".join([head, "".join(f"{name:>14}" for name in names), *rows])

    def plot(self, path: str | os.PathLike[str], *, target: np.ndarray[Any, Any] | None = None) -> Path:
        """Save a picture of the snapshots in turn, in their first three coordinates, on the target in grey.

        Raises:
            PlotsNotInstalled: matplotlib is missing.
        """
        return plots.clouds(self.points, path, titles=[f"step {step}" for step in self.steps], target=target)


class SlicedWassersteinFlow(Spec):
    """Gradient flow: the points x are moved to y, down the gradient of an estimate S of SW_2^2(x, y).

    x_i <- x_i - step_size f v_i, where 2 w_i v_i is the gradient of S by x_i and w_i the weight of x_i.

    squared: f = d, a damped Newton step, because the mean of theta theta^T over the sphere is I / d.
    rooted:  f = 1 / sqrt(S), gradient descent of n SW_2(x, y) for x without weights.

    S is over fresh directions in every step, of x as moved, shape (n, d), and y, shape (m, d). The gradient of a
    control variate goes through its coefficient. The result is of shape (snapshots, n, d): x after each n_steps /
    snapshots steps, rounded.

    method: mc, orthogonal, spiral (d = 3), lebedev (d = 3) and equispaced (d = 2) average the slices over directions
    drawn so. The others draw independent ones: lcv and ucv are the paper's control variates, with `intercept` their
    coefficient is the slope of a least-squares line; centred takes the distance of the means exactly.

    Bonneel et al., Sliced and Radon Wasserstein Barycenters of Measures (2015), section 3.2; Nguyen and Ho, Sliced
    Wasserstein Estimation with Control Variates (2024), section 4 and definition 1.
    """

    kind: Literal["sliced_wasserstein_flow"] = "sliced_wasserstein_flow"
    x: PointsField
    """Points that are moved, shape (n, d)."""
    y: PointsField
    """Where to, shape (m, d)."""
    normalize: bool = False
    """Divide weights by their sum, which need not be 1."""
    x_weights: WeightsField | None = None
    """One weight for each point of x; equal ones when absent."""
    y_weights: WeightsField | None = None
    """One weight for each point of y; equal ones when absent."""
    method: Method = "centred"
    """How SW_2^2 is estimated; centred takes the distance of the means exactly."""
    intercept: bool = False
    """With lcv and ucv: regression with an intercept in place of the paper's coefficient."""
    n_projections: Projections = 10
    """Directions of each step; orthogonal rounds up to whole frames of d, lebedev takes the rule that comes nearest."""
    n_steps: Annotated[int, Field(ge=1, le=1_000_000)] = 1_000
    """How often the points are moved."""
    loss: Literal["squared", "rooted"] = "squared"
    """What is descended: SW_2^2, or n SW_2."""
    step_size: Annotated[float, Field(gt=0)] | None = None
    """When absent 0.01 for rooted, and for squared 1 / (1 + sqrt(d / L))^2, which does not overshoot."""
    snapshots: Annotated[int, Field(ge=1, le=100)] = 1
    """How many of the clouds on the way are kept, evenly spread; the last is the end."""
    exact_w2: bool = False
    """Whether to compute W_2^2 at the snapshots; for at most 4,096 points, as many in x as in y, without weights."""
    seed: Seed = 0
    """Of the directions."""
    dtype: DType = "float64"
    """Of projecting and sorting and of the result; points are moved in float64."""

    examples: ClassVar[tuple[dict[str, Any], ...]] = (
        {
            "kind": "sliced_wasserstein_flow",
            "x": [[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]],
            "y": [[5.0, 5.0], [6.0, 5.5], [5.5, 6.0]],
            "n_steps": 50,
            "snapshots": 2,
            "exact_w2": True,
        },
        {
            "kind": "sliced_wasserstein_flow",
            "x": [[0.0, 0.0, 1.0], [1.0, 0.0, 0.0]],
            "y": [[2.0, 2.0, 2.0], [3.0, 2.5, 2.0], [2.5, 3.0, 1.0]],
            "y_weights": [0.5, 0.25, 0.25],
            "method": "ucv",
            "n_steps": 20,
            "loss": "rooted",
            "step_size": 0.05,
            "seed": 1,
            "dtype": "float32",
        },
    )

    @model_validator(mode="after")
    def _options_fit(self) -> Self:
        if self.snapshots > self.n_steps:
            raise ValueError(f"expected at most {self.n_steps} snapshots of {self.n_steps} steps, got {self.snapshots}")
        if self.intercept and self.method not in ("lcv", "ucv"):
            raise ValueError(f"expected lcv or ucv with intercept, which is of their regression, got {self.method}")
        if self.exact_w2 and not (self.x_weights is None and self.y_weights is None):
            raise ValueError("expected no weights with exact_w2, which matches points one to one")
        return self

    @classmethod
    def answer(cls, array: np.ndarray[Any, Any], facts: Mapping[str, Any]) -> FlowSnapshots:
        """The snapshots with their steps and distances."""
        return FlowSnapshots(array, **tupled(facts))

    def arrays(self) -> dict[str, ArrayReference]:
        """Both clouds, and their weights where they have them."""
        return arrays_of(self)

    def check(self, infos: Mapping[str, ArrayInfo]) -> None:
        """The same d for x and y, one that the method is made for, weights for each point, sizes that exact_w2 takes.

        Raises:
            InvalidSpec: naming each field at fault.
        """
        refuse([*measure_misfits(infos), *self._misfits(infos)], "The measures or the method do not fit.")

    def _misfits(self, infos: Mapping[str, ArrayInfo]) -> Iterator[FieldError]:
        (n, d), m = infos["x"].shape, infos["y"].shape[0]
        if (made_for := ONLY_FOR.get(self.method, d)) != d:
            yield FieldError("/method", f"expected {made_for} columns for {self.method}, got {d}")
        if self.exact_w2 and not n == m <= MAX_ASSIGNED:
            detail = f"expected x and y of equal size up to {MAX_ASSIGNED} for exact_w2, got {n} and {m}"
            yield FieldError("/exact_w2", detail)

    def batch_key(self, infos: Mapping[str, ArrayInfo]) -> str:
        """Kind, dtype, and whether it is small."""
        return f"{self.kind}:{self.dtype}:{size_class(infos, self._directions(infos))}"

    def cost(self, infos: Mapping[str, ArrayInfo]) -> Cost:
        """The slices of every step, each projected back; n^3 flops for each exact distance."""
        n, d = infos["x"].shape
        directions, exact = self._directions(infos), n if self.exact_w2 else 0
        flops = slicing_flops(infos, directions, d) + projected(infos, directions) * 2 * d + self.snapshots * exact**3
        bytes_out = self.snapshots * n * d * (4 if self.dtype == "float32" else 8)
        held = slicing_bytes(infos, self.n_projections, d) + 8 * (self.snapshots * n * d + exact**2)
        return Cost(flops, bytes_in(infos), bytes_out, held)

    def _directions(self, infos: Mapping[str, ArrayInfo]) -> int:
        """Of all steps; a method may take a frame of d in each."""
        each = max(self.n_projections, infos["x"].shape[1]) if self.method == "orthogonal" else self.n_projections
        return each * (self.n_steps + 1)
