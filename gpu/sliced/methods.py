"""The estimators by name: where each one's directions come from, its control, and how the mean is taken."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import Literal, NamedTuple

import numpy as np

from gpu.leaves import Floats
from gpu.sliced import controls
from gpu.sliced.adaptive import FEW_FRAMES, MOST_FIRST
from gpu.sliced.controls import Bracket, Forms, Moments
from gpu.sliced.directions import Directions, Sampling, stream
from gpu.sliced.estimators import Mean, least_squares, of_replicates, paper, with_known
from gpu.sliced.harmonics import monomials
from gpu.sliced.measures import Pair
from mercer.specs.harmonics import highest_degree
from mercer.specs.sliced_wasserstein import N_PROJECTIONS, SlicedWasserstein

GAUSSIAN_STREAM = 2**32
"""Far from the numbers of the replicates."""


class Plan(NamedTuple):
    """What is done for one job."""

    method: str
    """A name in ESTIMATORS, `exact` or `moment`."""
    sampling: Sampling
    reason: str


class Known:
    """What can be had of a pair of measures beside its slices, computed when it is asked for."""

    def __init__(self, pair: Pair, spec: SlicedWasserstein) -> None:
        self.pair = pair
        self.spec = spec
        self._gaussian_means: dict[int, tuple[float, float]] = {}

    @cached_property
    def delta(self) -> Floats:
        """The means' difference."""
        return controls.between_means(self.pair)

    @cached_property
    def bracket(self) -> Bracket:
        """Of SW_2^2."""
        return controls.bracket(self.pair)

    @cached_property
    def moments(self) -> Moments:
        """With the covariances, in O(n d^2)."""
        return controls.moments(self.pair)

    def forms(self, rows: Floats, *, covariances: bool) -> Forms:
        """At directions; the covariances' part only where they are worth their cost."""
        if covariances:
            return self.moments.forms(rows)
        lowest = controls.low(self.delta, rows)
        return Forms(lowest, lowest, np.full(len(rows), np.inf))

    def gaussian_mean(self, n: int) -> tuple[float, float]:
        """Of the Gaussian control, good enough for n slices, with its standard error."""
        if n not in self._gaussian_means:
            self._gaussian_means[n] = controls.gaussian_mean(self.moments, n, stream(self.spec.seed, GAUSSIAN_STREAM))
        return self._gaussian_means[n]


class Estimator(NamedTuple):
    """One way from slices to the mean."""

    control: Literal["low", "gaussian", "high"] | None
    """C, a field of Forms."""
    mean: Callable[[Known, Floats, Floats, Directions], Mean]
    """Given the costs and C."""


def _plain(known: Known, costs: Floats, control: Floats, drawn: Directions) -> Mean:
    return of_replicates(costs, drawn)


def _shifted(known: Known, costs: Floats, control: Floats, drawn: Directions) -> Mean:
    return of_replicates(costs, drawn)._replace(shifted=True)


def _lower_control(known: Known, costs: Floats, control: Floats, drawn: Directions) -> Mean:
    return _regressed(known, costs, control, known.bracket.lower)


def _upper_control(known: Known, costs: Floats, control: Floats, drawn: Directions) -> Mean:
    return _regressed(known, costs, control, known.bracket.upper)


def _regressed(known: Known, costs: Floats, control: Floats, mean: float) -> Mean:
    if known.spec.intercept:
        return least_squares(costs, control[:, None], np.array([mean]))
    return paper(costs, control, mean)


def _centred(known: Known, costs: Floats, control: Floats, drawn: Directions) -> Mean:
    return with_known(of_replicates(costs - control, drawn), known.bracket.lower)


def _less_gaussian(known: Known, costs: Floats, control: Floats, drawn: Directions) -> Mean:
    return with_known(of_replicates(costs - control, drawn), *known.gaussian_mean(len(costs)))


def _harmonics(known: Known, costs: Floats, control: Floats, drawn: Directions) -> Mean:
    return least_squares(costs, *monomials(drawn.rows, highest_degree(drawn.rows.shape[1], len(costs))))


PLAIN = Estimator(None, _plain)
ESTIMATORS: dict[str, Estimator] = {
    **dict.fromkeys(("mc", "orthogonal", "spiral", "lebedev", "exact"), PLAIN),
    "equispaced": Estimator(None, _shifted),
    "lcv": Estimator("low", _lower_control),
    "ucv": Estimator("high", _upper_control),
    "centred": Estimator("low", _centred),
    "gaussian_cv": Estimator("gaussian", _less_gaussian),
    "orthogonal_gaussian_cv": Estimator("gaussian", _less_gaussian),
    "spherical_harmonics": Estimator(None, _harmonics),
}
UNCONTROLLED = frozenset(name for name, estimator in ESTIMATORS.items() if estimator is PLAIN) | {"equispaced"}
"""Their estimates are means of slices and need no clamping."""


def plan(spec: SlicedWasserstein, d: int) -> Plan:
    """The method that a job asks for, or for `auto` the one with the least variance that fits d and p."""
    if spec.method != "auto":
        sampling: dict[str, Sampling] = {name: name for name in ("orthogonal", "spiral", "lebedev", "equispaced")}
        return Plan(spec.method, sampling.get(spec.method, "mc"), "as asked for")
    if spec.projections is not None:
        return Plan("mc", "mc", "the directions are given")
    if d == 1:
        return Plan("exact", "mc", "on a line every direction gives the same")
    if d == 2:
        return Plan("equispaced", "equispaced", "angles at equal steps have the least variance in d = 2")
    if d == 3:
        return Plan("lebedev", "lebedev", "Lebedev's rules have the least variance in d = 3")
    return _in_high_dimension(spec, d)


def _in_high_dimension(spec: SlicedWasserstein, d: int) -> Plan:
    """From d = 4 on: orthogonal frames where there are enough of them to tell the error by their spread."""
    n = (spec.n_projections or N_PROJECTIONS) if spec.rel_tol is None else MOST_FIRST
    fits = -(-n // d) >= FEW_FRAMES
    sampling: Sampling = "orthogonal" if fits else "mc"
    frames = "orthogonal frames" if fits else f"independent directions, too few for {FEW_FRAMES} frames of {d},"
    if spec.p != 2:
        return Plan(sampling, sampling, f"{frames} without a control, as p is not 2")
    method = "orthogonal_gaussian_cv" if fits else "gaussian_cv"
    return Plan(method, sampling, f"{frames} with the Gaussian control, which has the least variance from d = 4 on")
