"""Local maxima of the cost of a slice over all directions."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from gpu.device import Device
from gpu.leaves import Floats
from gpu.sliced.directions import unit
from gpu.sliced.turning import Turning

FIRST_ANGLE, MOST_ANGLE = 0.1, 0.7
"""Radians; of the first step, and of any."""
LEAST_ANGLE = 1e-9
"""Radians: a shorter step changes a cost in its last digits alone."""
FLAT = 1e-8
"""Tangent over p f, the gradient along the direction itself: a maximum is then met to the square of this."""
ENOUGH = 1e-4
"""Share of what the tangent promises that a step must gain (Armijo's rule)."""
SHORTER = 0.25
LONGER = 4.0
APART = 0.995
"""Cosine of the angle, 6 degrees, within which directions are near: they would find the same maximum."""
MOST_LOOKED_AT = 50
"""For each start: in few dimensions most directions are near others."""

ROUNDS, TRIALS = 200, 8
"""Of the search without gradients: at most so many rounds of so many directions."""
FIRST_RADIUS, LEAST_RADIUS, WIDER, NARROWER = 0.1, 1e-6, 1.2, 0.8
"""How far away the directions of a round are, in radians, and what a round with and without a gain makes of it."""


def separate(directions: Floats, costs: Floats, count: int) -> Floats:
    """At most so many directions, the costliest first, none of them near another or its opposite."""
    chosen: list[int] = []
    for index in np.argsort(-costs, kind="stable")[: MOST_LOOKED_AT * count]:
        if len(chosen) == count:
            break
        if not (np.abs(directions[chosen] @ directions[index]) > APART).any():
            chosen.append(int(index))
    return directions[chosen]


def ascend(turning: Turning, starts: Floats, n_steps: int, device: Device, report: Callable[[float], None]) -> Floats:
    """(K, d): from each start up along the sphere, by steps of Barzilai and Borwein's length that never lose.

    Barzilai and Borwein, Two-point step size gradient methods (1988), eq. 5; Absil, Mahony and Sepulchre, Optimization
    algorithms on matrix manifolds (2008), section 4.2, for the tangent, the way back to the sphere and Armijo's rule.
    """
    theta = starts.copy()
    costs, tangent = _slopes(turning, theta, device)
    sizes = np.linalg.norm(tangent, axis=1)
    lengths = FIRST_ANGLE / np.maximum(sizes, np.finfo(float).tiny)
    for step in range(n_steps):
        going = np.flatnonzero((sizes > FLAT * turning.p * costs) & (lengths * sizes > LEAST_ANGLE))
        if not len(going):
            break
        trial = unit(theta[going] + lengths[going, None] * tangent[going])
        trial_costs, trial_tangent = _slopes(turning, trial, device)
        gained = trial_costs - costs[going] > ENOUGH * lengths[going] * sizes[going] ** 2
        moved, lost = going[gained], going[~gained]
        lengths[lost] *= SHORTER
        lengths[moved] = _lengths(trial[gained] - theta[moved], tangent[moved] - trial_tangent[gained], lengths[moved])
        theta[moved], costs[moved], tangent[moved] = trial[gained], trial_costs[gained], trial_tangent[gained]
        sizes = np.linalg.norm(tangent, axis=1)
        lengths = np.minimum(lengths, MOST_ANGLE / np.maximum(sizes, np.finfo(float).tiny))
        report((step + 1) / n_steps)
    return theta


def _slopes(turning: Turning, theta: Floats, device: Device) -> tuple[Floats, Floats]:
    """(K,) costs, and (K, d) the parts of their gradients along the sphere."""
    costs, gradients = turning.slopes(theta, device)
    return costs, gradients - (gradients * theta).sum(axis=1, keepdims=True) * theta


def _lengths(moves: Floats, changes: Floats, before: Floats) -> Floats:
    """|s|^2 / s . y for a move s and what it took off the tangent, y; longer than before where the slope rises."""
    curvature, squares = (moves * changes).sum(axis=1), (moves * moves).sum(axis=1)
    return np.divide(squares, curvature, out=LONGER * before, where=curvature > squares / (LONGER * before))


def search(cost: Callable[[Floats], Floats], theta: Floats, random: np.random.Generator) -> Floats:
    """Up from one direction by trial, ever nearer: where ties make ridges, no gradient points along them."""
    best, radius = float(cost(theta[None])[0]), FIRST_RADIUS
    for _ in range(ROUNDS):
        if radius < LEAST_RADIUS:
            break
        trials = unit(theta + radius * unit(random.standard_normal((TRIALS, len(theta)))))
        costs = cost(trials)
        gained = costs.max() > best
        if gained:
            best, theta = float(costs.max()), trials[costs.argmax()]
        radius *= WIDER if gained else NARROWER
    return theta
