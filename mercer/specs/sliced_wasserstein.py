"""The sliced Wasserstein job: its estimators and what they need."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, ClassVar, Literal, Self

import numpy as np
from pydantic import AfterValidator, Field, model_validator
from pydantic_core import PydanticCustomError

from mercer.arrays import ArrayInfo, DType
from mercer.errors import FieldError
from mercer.estimates import SlicedWassersteinEstimate
from mercer.points import ArrayReference, DatasetReference, PointsField
from mercer.specs.base import Cost, Spec
from mercer.specs.harmonics import (
    MOST_HARMONICS,
    REGRESSION_FLOPS,
    directions_for_harmonics,
    highest_degree,
    n_harmonics,
)
from mercer.specs.measures import WeightsField, refuse
from mercer.specs.sliced import (
    Order,
    Projections,
    Seed,
    arrays_of,
    bytes_in,
    measure_misfits,
    n_points,
    size_class,
    slicing_bytes,
    slicing_flops,
    tupled,
)

Method = Literal[
    "auto", "mc", "lcv", "ucv", "centred", "gaussian_cv", "spherical_harmonics",
    "orthogonal", "spiral", "lebedev", "equispaced", "exact", "moment",
]  # fmt: skip

N_PROJECTIONS = 100
"""When none of n_projections, rel_tol and projections is given."""
MAX_PROJECTIONS = 1_000_000
TOLERANCE_PROJECTIONS = 100_000
"""Of a job with rel_tol and no max_projections."""
EXACT_POINTS = 1_000
"""The exact integral in d = 2 looks at every pair of points: a million angles at this size."""
UNIT_TOLERANCE = 1e-6
"""How far the length of a direction may be from 1; float32 directions are within 1e-7."""
WITHOUT_PROJECTIONS = frozenset({"exact", "moment"})
ANY_DIRECTIONS = frozenset({"auto", "mc", "lcv", "ucv", "centred", "gaussian_cv", "spherical_harmonics"})
"""Methods that leave the choice of directions open."""
ONLY_SQUARED = frozenset({"centred", "gaussian_cv", "moment"})
"""Their formulas hold for p = 2 alone."""
ONLY_IN: dict[str, tuple[int, ...]] = {"lebedev": (3,), "spiral": (3,), "equispaced": (2,), "exact": (1, 2)}


def unit_fault(rows: np.ndarray[Any, Any]) -> str | None:
    """What is wrong with directions; None when all have length 1."""
    lengths = np.linalg.norm(rows.astype(np.float64), axis=1)
    worst = int(np.abs(lengths - 1).argmax())
    if abs(lengths[worst] - 1) <= UNIT_TOLERANCE:
        return None
    return f"expected rows of length 1 within {UNIT_TOLERANCE:g}, got {lengths[worst]:.6g} in row {worst}"


def _unit(rows: np.ndarray[Any, Any] | DatasetReference | None) -> Any:
    """Those of a data set are looked at when the job runs."""
    if isinstance(rows, np.ndarray) and (why := unit_fault(rows)):
        raise PydanticCustomError("projections_unit", "{why}", {"why": why})
    return rows


class SlicedWasserstein(Spec):
    """Sliced Wasserstein distance of two measures, with its standard error.

    SW_p^p(mu, nu) = E f(theta), f(theta) = W_p^p(theta#mu, theta#nu), theta uniform on the unit sphere of R^d; mu has
    the atoms x, shape (n, d), and nu the atoms y, shape (m, d). The result is [SW_p^p, SW_p]; with `per_slice` the
    (L, d + 2) array of directions, their weights in a plain mean, and f. m, S: mean and covariance of a measure;
    delta = m_x - m_y, s^2 = theta^T S theta.

    mc:                  the mean of f over independent directions.
    lcv, ucv:            f less g (C - E C), C = (theta . delta)^2 or (theta . delta)^2 + s_x^2 + s_y^2, and
                         g = mean((f - mean f)(C - E C)) / mean((C - E C)^2); with `intercept` by least squares.
    centred:             lcv with g = 1, which is SW_2^2 of the centred measures and |delta|^2 / d.
    gaussian_cv:         C = (theta . delta)^2 + (s_x - s_y)^2 and g = 1.
    spherical_harmonics: ordinary least squares on the even harmonics up to a degree that fits the number of directions.
    orthogonal:          frames of d orthogonal directions; the number is rounded up to whole frames, at least two.
    spiral, lebedev, equispaced: rules turned at random, the first two in d = 3, the third in d = 2.
    exact:               W_p itself in d = 1; the integral itself in d = 2 for p = 2, n = m <= 1,000, without weights.
    moment:              |delta|^2 / d + (sqrt(tr S_x / d) - sqrt(tr S_y / d))^2, an approximation for p = 2.
    auto:                exact in d = 1, equispaced in d = 2, lebedev in d = 3; above orthogonal, with gaussian_cv's C
                         for p = 2.

    Bonneel et al., Sliced and Radon Wasserstein barycenters of measures (2015); Nguyen and Ho, Sliced Wasserstein
    estimation with control variates (2024), definition 1 and proposition 4; Leluc et al., Sliced-Wasserstein estimation
    with spherical harmonics as control variates (2024); Rowland et al., Orthogonal estimation of Wasserstein distances
    (2019); Nadjahi et al., Fast approximation of the sliced-Wasserstein distance (2021).
    """

    kind: Literal["sliced_wasserstein"] = "sliced_wasserstein"
    x: PointsField
    """Points of the first measure, shape (n, d)."""
    y: PointsField
    """Points of the second measure, shape (m, d)."""
    normalize: bool = False
    """Divide the weights by their sum, whatever it is."""
    x_weights: WeightsField | None = None
    """Weights of x, of sum 1; uniform when absent."""
    y_weights: WeightsField | None = None
    """Weights of y, of sum 1; uniform when absent."""
    p: Order = 2.0
    """Order of the distance, finite and at least 1."""
    method: Method = "auto"
    """How the mean over directions is estimated."""
    intercept: bool = False
    """With lcv and ucv: regression with an intercept in place of the paper's coefficient."""
    n_projections: Projections | None = None
    """Number of directions; 100 when neither rel_tol nor projections is given."""
    rel_tol: Annotated[float, Field(gt=0, lt=1)] | None = None
    """Take directions until the 95 % interval of SW_p^p is within this share of it."""
    max_projections: Projections | None = None
    """With rel_tol: fail beyond so many directions; 100,000 when absent."""
    projections: Annotated[PointsField, AfterValidator(_unit)] | None = None
    """Directions to use, shape (L, d), rows of length 1."""
    seed: Seed = 0
    """Of the directions."""
    dtype: DType = "float64"
    """Of projecting and sorting; sums are in float64."""
    per_slice: bool = False
    """Answer every direction, its weight and its cost too."""

    examples: ClassVar[tuple[dict[str, Any], ...]] = (
        {
            "kind": "sliced_wasserstein",
            "x": [[0.0, 0.0, 1.0], [1.0, 0.5, 0.0], [0.2, -1.0, 0.3]],
            "y": [[2.0, 1.0, 0.0], [0.0, 1.0, -1.0]],
        },
        {
            "kind": "sliced_wasserstein",
            "x": [[0.0, 1.0], [1.0, 0.0], [2.0, 2.0]],
            "y": [[1.0, 1.0], [3.0, 0.0]],
            "x_weights": [0.5, 0.25, 0.25],
            "p": 1.0,
            "rel_tol": 0.05,
            "seed": 7,
        },
        {
            "kind": "sliced_wasserstein",
            "x": [[0.0, 1.0, 0.0, 2.0], [1.0, 0.0, 3.0, 0.0]],
            "y": [[1.0, 1.0, 1.0, 1.0], [0.0, 2.0, 0.0, 0.5]],
            "method": "ucv",
            "intercept": True,
            "n_projections": 50,
        },
        {
            "kind": "sliced_wasserstein",
            "x": [[0.0, 1.0], [1.0, 0.0]],
            "y": [[2.0, 2.0], [3.0, 1.0]],
            "method": "mc",
            "projections": [[1.0, 0.0], [0.6, 0.8]],
            "per_slice": True,
        },
        {
            "kind": "sliced_wasserstein",
            "x": [[0.0, 1.0], [1.0, 0.0]],
            "y": [[2.0, 2.0], [3.0, 1.0]],
            "method": "exact",
        },
    )

    @model_validator(mode="after")
    def _options_fit(self) -> Self:
        if why := next(self._conflicts(), None):
            raise ValueError(why)
        return self

    def _conflicts(self) -> Iterator[str]:
        counts = {
            name: getattr(self, name)
            for name in ("n_projections", "rel_tol", "projections")
            if getattr(self, name) is not None
        }
        if len(counts) > 1:
            yield f"expected one of n_projections, rel_tol and projections, got {' and '.join(counts)}"
        if counts and self.method in WITHOUT_PROJECTIONS:
            yield f"expected no {next(iter(counts))} with {self.method}, which draws no directions"
        if self.max_projections is not None and self.rel_tol is None:
            yield "expected max_projections only with rel_tol"
        if self.projections is not None and self.method not in ANY_DIRECTIONS:
            yield f"expected no projections with {self.method}, which has directions of its own"
        if self.intercept and self.method not in ("lcv", "ucv"):
            yield f"expected intercept only with lcv and ucv, got {self.method}"
        if self.p != 2 and self.method in ONLY_SQUARED:
            yield f"expected p = 2 with {self.method}, got {self.p:g}"
        if self.per_slice and self.method == "moment":
            yield "expected no per_slice with moment, which has no slices"

    @classmethod
    def answer(cls, array: np.ndarray[Any, Any], facts: Mapping[str, Any]) -> SlicedWassersteinEstimate:
        """The estimate with its error; with `per_slice` also the directions, their weights and costs."""
        slices: dict[str, Any] = {}
        if array.ndim == 2:
            slices = {"directions": array[:, :-2], "slice_weights": array[:, -2], "costs": array[:, -1]}
        return SlicedWassersteinEstimate(**tupled(facts), **slices)

    def arrays(self) -> dict[str, ArrayReference]:
        """x, y, and what there is of weights and directions."""
        return arrays_of(self) | ({} if self.projections is None else {"projections": self.projections})

    def check(self, infos: Mapping[str, ArrayInfo]) -> None:
        """One d for all, a weight for each point, and a method that fits d and p.

        Raises:
            InvalidSpec: naming each field at fault.
        """
        refuse([*measure_misfits(infos), *self._misfits(infos)], "The measures or the method do not fit.")

    def _misfits(self, infos: Mapping[str, ArrayInfo]) -> Iterator[FieldError]:
        d = infos["x"].shape[1]
        if (only := ONLY_IN.get(self.method)) and d not in only:
            dimensions = " or ".join(f"d = {d}" for d in only)
            yield FieldError("/method", f"expected {dimensions} for {self.method}, got points of {d} columns")
        if self.method == "exact" and d == 2:
            yield from self._inexact(infos["x"].shape[0], infos["y"].shape[0])
        if (info := infos.get("projections")) is not None:
            yield from _wrong_directions(info.shape, d)
        if self.method == "spherical_harmonics":
            needed = directions_for_harmonics(d, 2)
            if n_harmonics(d, 2) > MOST_HARMONICS:
                yield FieldError("/method", f"expected d <= 64 for harmonics, got points of {d} columns")
            elif (given := self.most_projections(infos)) < needed:
                yield FieldError(
                    "/method", f"expected at least {needed} directions for harmonics in d = {d}, got {given}"
                )

    def _inexact(self, n: int, m: int) -> Iterator[FieldError]:
        """Why d = 2 cannot be integrated exactly."""
        if self.p != 2:
            yield FieldError("/p", f"expected p = 2 for exact in d = 2, got {self.p:g}")
        if n != m or n > EXACT_POINTS:
            detail = f"expected as many points in both, at most {EXACT_POINTS}, for exact in d = 2, got {n} and {m}"
            yield FieldError("/method", detail)
        if self.per_slice:
            yield FieldError(
                "/per_slice", "expected no per_slice for exact in d = 2, which takes all directions at once"
            )
        if self.per_slice:
            yield FieldError("/per_slice", "expected no per_slice with exact in d = 2, which has no slices")
        for name in ("x_weights", "y_weights"):
            if getattr(self, name) is not None:
                yield FieldError(f"/{name}", "expected no weights for exact in d = 2")

    def most_projections(self, infos: Mapping[str, ArrayInfo]) -> int:
        """Directions asked for; with rel_tol the most that are taken."""
        if (given := infos.get("projections")) is not None:
            return given.shape[0]
        if self.rel_tol is not None:
            return self.max_projections or TOLERANCE_PROJECTIONS
        return self.n_projections or N_PROJECTIONS

    def batch_key(self, infos: Mapping[str, ArrayInfo]) -> str:
        """Kind, dtype, whether p is 2, small or large, and whether it stops by itself."""
        size = size_class(infos, self.most_projections(infos)) if self.rel_tol is None else "adaptive"
        return f"{self.kind}:{self.dtype}:{'p2' if self.p == 2 else 'p'}:{size}"

    def cost(self, infos: Mapping[str, ArrayInfo]) -> Cost:
        """The slices, for p = 2 the covariances, and what a regression on harmonics holds of each direction."""
        d = infos["x"].shape[1]
        most = self.most_projections(infos) + 2 * d  # whole frames, at least two
        flops = slicing_flops(infos, most, d) + 4 * (n_points(infos) + most) * d * d
        degree = highest_degree(d, most) if self.method == "spherical_harmonics" else 0
        q = n_harmonics(d, degree)
        flops += 2 * most * q * q + REGRESSION_FLOPS * q**3
        peak = slicing_bytes(infos, most, d) + 8 * (4 * most * (q + 1) + 3 * q * q + 6 * d * d)
        return Cost(flops, bytes_in(infos), 8 * most * (d + 2) if self.per_slice else 16, peak)


def _wrong_directions(shape: tuple[int, ...], d: int) -> Iterator[FieldError]:
    """Why they cannot be projected on."""
    if shape[1] != d:
        mend = "; transpose it" if shape[0] == d else ""
        yield FieldError("/projections", f"expected shape (L, {d}), a direction in each row, got {shape}{mend}")
    if shape[0] > MAX_PROJECTIONS:
        yield FieldError("/projections", f"expected at most {MAX_PROJECTIONS} directions, got {shape[0]}")
