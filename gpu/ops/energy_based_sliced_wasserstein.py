"""The energy-based distance: its formula in plain NumPy, and how jobs of it are run on a device."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, cast

import numpy as np

from gpu.device import Device
from gpu.leaves import Floats
from gpu.sliced.directions import directions, stream
from gpu.sliced.formula import slice_costs
from gpu.sliced.inputs import all_costs, measures
from gpu.sliced.measures import pair
from gpu.sliced.roots import length, rooted
from gpu.sliced.slices import Slices
from gpu.task import Answer, Task
from mercer.specs.energy_based_sliced_wasserstein import EnergyBasedSlicedWasserstein

CRITICAL = 1.959963984540054
"""The normal distribution's quantile of 0.975: ratios of many terms are nearly normal."""


def reference(task: Task) -> float:
    """sum_l f(c_l) c_l / sum_l f(c_l), as long as f does not overflow."""
    spec = cast(EnergyBasedSlicedWasserstein, task.spec)
    x, y = measures(task)
    c = slice_costs(x, y, thetas(spec, x.d), spec.p)
    f = {"exp": np.exp(c), "identity": c, "power": c ** (spec.exponent or 1)}[spec.energy]
    return float((f * c).sum() / f.sum())


def thetas(spec: EnergyBasedSlicedWasserstein, d: int) -> Floats:
    """(L, d), independent and uniform. On a line there is one direction and its opposite, which has the same cost."""
    return np.ones((1, 1)) if d == 1 else directions("mc", d, spec.n_projections, stream(spec.seed)).rows


def run(tasks: Sequence[Task], device: Device) -> list[Answer]:
    """One answer for each task."""
    requests = [_request(task) for task in tasks]
    return [
        Answer(found.shape, found.dtype, (found,), _facts(task, found))
        for task, found in zip(tasks, all_costs(tasks, requests, device), strict=True)
    ]


def _request(task: Task) -> Slices:
    spec = cast(EnergyBasedSlicedWasserstein, task.spec)
    x, y = measures(task)
    return Slices(pair(x, y, spec.p, np.dtype(spec.dtype)), thetas(spec, x.d))


def _facts(task: Task, costs: Floats) -> dict[str, Any]:
    return summary(cast(EnergyBasedSlicedWasserstein, task.spec), costs, task.arrays["x"].shape[1])


def shares(spec: EnergyBasedSlicedWasserstein, costs: Floats) -> Floats:
    """f(c_l) / sum_k f(c_k), from logarithms, so that no energy overflows; equal where all costs are 0."""
    with np.errstate(divide="ignore"):
        logarithms = costs if spec.energy == "exp" else (spec.exponent or 1.0) * np.log(costs)
    largest = logarithms.max()
    if largest == -np.inf:
        return np.full(len(costs), 1 / len(costs))
    energies = np.exp(logarithms - largest)
    return energies / energies.sum()


def summary(spec: EnergyBasedSlicedWasserstein, costs: Floats, d: int) -> dict[str, Any]:
    """The ratio R, and by the delta method its variance sum_l s_l^2 (c_l - R)^2 and its bias -sum_l s_l^2 (c_l - R).

    Owen, Monte Carlo theory, methods and examples (2013), section 9.2 on self-normalised importance sampling; with
    L / (L - 1) in the variance, for the mean that is estimated too.
    """
    weights, n = shares(spec, costs), len(costs)
    # Deviations from a number among the costs: equal costs give exactly that number and the error 0.
    power = float(costs[0] + weights @ (costs - costs[0]))
    deviations = weights * (costs - power)
    error = math.sqrt(n / (n - 1)) * length(deviations) if n > 1 else 0.0 if d == 1 else None
    return {
        **rooted(power, error, CRITICAL, spec.p),
        "bias": float(-weights @ deviations),
        "n_effective": float(1 / (weights @ weights)),
    }
