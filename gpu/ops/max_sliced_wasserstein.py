"""The max-sliced distance: the formula in plain NumPy, and how its maximum is sought on a device."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import partial
from typing import Any, cast

import numpy as np
from scipy.linalg import eigh

from gpu.device import Device
from gpu.leaves import Floats
from gpu.sliced.ascent import ascend, search, separate
from gpu.sliced.directions import directions, stream, unit
from gpu.sliced.formula import slice_costs
from gpu.sliced.inputs import measures
from gpu.sliced.measures import Measure, Pair, pair
from gpu.sliced.slices import Slices, costs
from gpu.sliced.turning import turning
from gpu.task import Answer, Task
from mercer.specs.max_sliced_wasserstein import MAX_EIGEN, MaxSlicedWasserstein

REACHED = 1e-9
"""Relative: an upper bound that is met up to this is met but for rounding."""
SCAN, CLIMB = 0.3, 0.5
"""Shares of the progress: the random directions, the ascents; the rest is the search around the best."""
RIDGE = 1e-9
"""Of a covariance's trace, added to its diagonal where it is what another is compared with."""


def reference(task: Task, direction: Floats) -> float:
    """W_p^p along a direction."""
    spec = cast(MaxSlicedWasserstein, task.spec)
    return float(slice_costs(*measures(task), direction[None], spec.p)[0])


def run(tasks: Sequence[Task], device: Device) -> list[Answer]:
    """One answer for each task."""
    return [_answer(task, device) for task in tasks]


def _answer(task: Task, device: Device) -> Answer:
    spec = cast(MaxSlicedWasserstein, task.spec)
    x, y = measures(task)
    made = pair(x, y, spec.p, np.dtype(spec.dtype))
    x, y = (Measure(side.points / made.scale, side.weights) for side in (x, y))
    difference = y.mean() - x.mean()
    spreads = (x.covariance(), y.covariance()) if 1 < x.d <= MAX_EIGEN else None
    thetas = np.ones((1, 1)) if x.d == 1 else directions("mc", x.d, spec.n_projections, stream(spec.seed)).rows
    (found,) = costs([Slices(made, thetas)], device, lambda share: task.report(SCAN * share))
    best = thetas[:1] if x.d == 1 else _climbed(task, made, thetas, found, _starts(difference, spreads), device)
    (power,) = costs([Slices(made, best)], device)[0]
    direction = best[0] if best[0] @ difference >= 0 else -best[0]
    task.report(1.0)
    upper = _upper(difference, spreads) * made.scale if spreads and spec.p <= 2 else None
    facts = _facts(spec, float(power), float(found.max()), upper, x.d == 1)
    return Answer(direction.shape, direction.dtype, (direction,), facts)


def _facts(
    spec: MaxSlicedWasserstein, power: float, best_random: float, upper: float | None, line: bool
) -> dict[str, Any]:
    distance = math.pow(power, 1 / spec.p)
    return {
        "distance": distance,
        "power": power,
        "upper_bound": distance if line else upper,
        "exact": line or (upper is not None and distance >= upper * (1 - REACHED)),
        "best_random": math.pow(best_random, 1 / spec.p),
        "p": spec.p,
    }


def _climbed(task: Task, made: Pair, thetas: Floats, found: Floats, more: Floats, device: Device) -> Floats:
    """(1, d): the best direction that is found from the best of `thetas` and from `more`; never worse than any."""
    spec = cast(MaxSlicedWasserstein, task.spec)
    turned, n_steps = turning(made), spec.n_steps
    starts = np.concatenate([more, separate(thetas, found, spec.n_starts)])

    def cost(several: Floats) -> Floats:
        return costs([Slices(made, several)], device)[0]

    peaks = ascend(turned, starts, n_steps, device, partial(_report, task, SCAN))
    near = search(cost, peaks[cost(peaks).argmax()], stream(spec.seed, 1))
    last = ascend(turned, near[None], n_steps, device, partial(_report, task, SCAN + CLIMB))
    candidates = np.concatenate([peaks, near[None], last, thetas[[found.argmax()]]])
    return candidates[[cost(candidates).argmax()]]


def _report(task: Task, done: float, share: float) -> None:
    task.report(done + (CLIMB if done == SCAN else 1 - SCAN - CLIMB) * share)


def _starts(difference: Floats, spreads: tuple[Floats, Floats] | None) -> Floats:
    """(K, d): the difference of the means, and directions along which one covariance is much more than the other."""
    rows = [difference[None]] if difference.any() else []
    if spreads is not None:
        rows += [_ends(spreads[0] - spreads[1], None), _ends(*spreads)]
    return unit(np.concatenate(rows)) if rows else np.empty((0, len(difference)))


def _ends(a: Floats, b: Floats | None) -> Floats:
    """(2, d): eigenvectors of the smallest and the largest eigenvalue of a, or of a against b."""
    d = len(a)
    if b is not None:
        b = b + max(RIDGE * float(np.trace(a + b)), np.finfo(float).tiny) * np.eye(d)
    return np.concatenate([eigh(a, b, subset_by_index=(end, end))[1].T for end in (0, d - 1)])


def _upper(difference: Floats, spreads: tuple[Floats, Floats]) -> float:
    """The root of the largest eigenvalue of delta delta^T + S_x + S_y."""
    d = len(difference)
    largest = eigh(np.outer(difference, difference) + sum(spreads), eigvals_only=True, subset_by_index=(d - 1, d - 1))
    return math.sqrt(max(0.0, float(largest[0])))
