"""One sliced Wasserstein job while it runs: the directions it asks for, and what has come back."""

from __future__ import annotations

from functools import cached_property
from typing import cast

import numpy as np

from gpu.leaves import Floats
from gpu.sliced import adaptive
from gpu.sliced.controls import Forms
from gpu.sliced.directions import Directions, Layout, given, joined, layout, of_layout, stream, unit
from gpu.sliced.estimators import Mean
from gpu.sliced.inputs import measures
from gpu.sliced.intervals import half_width
from gpu.sliced.measures import pair
from gpu.sliced.methods import ESTIMATORS, Known, plan
from gpu.sliced.slices import Slices
from gpu.task import Task
from mercer.errors import FieldError, InvalidSpec, JobFailed
from mercer.specs.harmonics import directions_for_harmonics
from mercer.specs.sliced_wasserstein import (
    N_PROJECTIONS,
    TOLERANCE_PROJECTIONS,
    SlicedWasserstein,
    unit_fault,
)

PIECE_NUMBERS = 2**21
"""Of directions that are drawn and projected on at once; they are dropped before the next ones are drawn."""
ROUNDING = {"float64": 1e-11, "float32": 1e-5}
"""By which a slice may leave its bounds, relative to the upper bound of all: some thousand units in the last place."""


class Work:
    """Draws directions piece by piece until there are enough.

    Args:
        task: Its spec is a SlicedWasserstein.

    Raises:
        InvalidSpec: weights or directions of a data set are not what they must be.
    """

    def __init__(self, task: Task) -> None:
        self.task = task
        self.spec = cast(SlicedWasserstein, task.spec)
        self.pair = pair(*measures(task), self.spec.p, np.dtype(self.spec.dtype))
        self.known = Known(self.pair, self.spec)
        self.plan = plan(self.spec, self.pair.x.d)
        self.look = 1
        self.n_taken = 0
        self._n_pieces = 0
        self._parts: list[Directions] = []
        self._costs: list[Floats] = []
        self._controls: list[Floats] = []
        self._piece: Directions | None = None
        self._shape = self._first()
        self._wanted = self._shape.replicates

    @property
    def has_slices(self) -> bool:
        """Whether it needs any."""
        return self.plan.method != "moment" and not (self.plan.method == "exact" and self.pair.x.d == 2)

    def draw(self) -> Slices:
        """The next directions."""
        if self.spec.projections is not None:
            self._piece = given(self._given())
        elif self.plan.method == "exact":
            self._piece = given(np.ones((1, 1)))
        else:
            self._piece = of_layout(self.plan.sampling, self.pair.x.d, self._next(), self._stream())
        return Slices(self.pair, self._piece.rows)

    def take(self, costs: Floats) -> None:
        """The costs of the directions drawn last."""
        piece = cast(Directions, self._piece)
        forms = self.known.forms(piece.rows, covariances=self.covariances)
        self._check(forms, costs)
        if control := ESTIMATORS[self.plan.method].control:
            self._controls.append(getattr(forms, control))
        keep = self.spec.per_slice or self.plan.method == "spherical_harmonics"
        self._parts.append(piece if keep else piece.without_rows())
        self._costs.append(costs)
        self.n_taken += len(costs)
        self._wanted -= piece.replicates

    def goes_on(self) -> bool:
        """Whether it needs more directions.

        Raises:
            JobFailed: the tolerance is not met by as many directions as it may take.
        """
        if self.spec.projections is not None or self.plan.method == "exact":
            return False
        return self._wanted > 0 or (self.spec.rel_tol is not None and self._looks_again())

    def report(self, share: float) -> None:
        """Tell the progress, given the share of the last piece that is done."""
        piece = len(self._piece.weights) if self._piece else 0
        self.task.report(min(1.0, (self.n_taken + share * piece) / max(1, self.limit)))

    @cached_property
    def limit(self) -> int:
        """Directions that it may take."""
        if self.spec.projections is not None:
            return len(self.task.arrays["projections"])
        if self.spec.rel_tol is not None:
            return self.spec.max_projections or TOLERANCE_PROJECTIONS
        return self._shape.n

    @cached_property
    def covariances(self) -> bool:
        """Whether to look at them: where the method does, and to check slices where these cost no less."""
        if not self.has_slices:
            return False
        if ESTIMATORS[self.plan.method].control in ("gaussian", "high"):
            return True
        return self.spec.p == 2 and self.pair.x.d <= self.limit

    @property
    def drawn(self) -> Directions:
        """All directions so far, of the last rule alone where a larger rule takes the place of a smaller one."""
        self._parts = [joined(self._parts)]
        return self._parts[0]

    @property
    def costs(self) -> Floats:
        """Of these directions."""
        self._costs = [np.concatenate(self._costs)]
        return self._costs[0]

    def mean(self) -> Mean:
        """The estimate from what has come back."""
        control = np.concatenate(self._controls) if self._controls else np.empty(0)
        return ESTIMATORS[self.plan.method].mean(self.known, self.costs, control, self.drawn)

    def gaussian_bound(self) -> float | None:
        """Of SW_2^2, where the covariances were looked at."""
        if not self.covariances:
            return None
        uses = ESTIMATORS[self.plan.method].control == "gaussian"
        return self.known.gaussian_mean(len(self.costs) if uses else 0)[0]

    def _first(self) -> Layout:
        """Of the first round, which is the only one without a tolerance."""
        d, sampling = self.pair.x.d, self.plan.sampling
        if self.plan.method == "exact":
            return Layout(1, 1)
        if self.spec.rel_tol is None:
            return layout(sampling, d, self.spec.n_projections or N_PROJECTIONS)
        least = directions_for_harmonics(d, 2) if self.plan.method == "spherical_harmonics" else 1
        shape = adaptive.first(sampling, d, least, self.limit)
        if shape is None:
            raise self._too_few(None)
        return shape

    def _next(self) -> Layout:
        """Whole replicates of the round, no more than a piece."""
        numbers = self._shape.size * self.pair.x.d
        return Layout(max(1, min(self._wanted, PIECE_NUMBERS // numbers)), self._shape.size)

    def _stream(self) -> np.random.Generator:
        self._n_pieces += 1
        return stream(self.spec.seed, self._n_pieces - 1)

    def _looks_again(self) -> bool:
        """Compares the interval with the tolerance, and plans the next round where it is too wide."""
        mean = self.mean()
        width, target = half_width(mean, adaptive.level(self.look)), cast(float, self.spec.rel_tol) * abs(mean.value)
        if width is not None and width <= target:
            return False
        so_far = Layout(self.drawn.replicates, self._shape.size)
        left = self.limit - self.n_taken
        following = adaptive.following(self.plan.sampling, so_far, mean, target, self.look, left)
        if following is None:
            raise self._too_few(mean)
        if not adaptive.accumulates(self.plan.sampling):
            self._parts, self._costs, self._controls = [], [], []
        self._shape, self._wanted, self.look = following, following.replicates, self.look + 1
        return True

    def _too_few(self, mean: Mean | None) -> JobFailed:
        reached = "not even the first round is within that"
        width = half_width(mean, adaptive.level(self.look)) if mean else None
        if mean and width is not None:
            share = f"{width / abs(mean.value):.3g}" if mean.value else "all"
            reached = f"{self.n_taken} directions gave SW_p^p = {mean.value:.8g} +- {width:.3g}, within {share} of it"
        detail = f"expected to come within {self.spec.rel_tol:g} by at most {self.limit} directions; {reached}"
        return JobFailed(
            "The tolerance was not met: raise rel_tol or max_projections, or use another method.",
            errors=(FieldError("/rel_tol", detail),),
        )

    def _given(self) -> Floats:
        rows = np.asarray(self.task.arrays["projections"], np.float64)
        if why := unit_fault(rows):
            raise InvalidSpec("The directions do not fit.", errors=(FieldError("/projections", why),))
        return unit(rows)

    def _check(self, forms: Forms, costs: Floats) -> None:
        """Every slice is between the bounds that hold for p = 2, up to rounding.

        Raises:
            ArithmeticError: one is not, which no measures can do.
        """
        if self.spec.p == 2:
            slack = ROUNDING[self.spec.dtype] * self.known.bracket.upper * self.pair.x.d
            if (costs < forms.gaussian - slack).any() or (costs > forms.high + slack).any():
                raise ArithmeticError("a slice is outside its bounds")
