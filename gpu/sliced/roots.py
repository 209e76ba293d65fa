"""From an estimate of SW_p^p to all that is told of it and of its root."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from gpu.leaves import Floats

NOISE = 2.0
"""Standard errors: a root of what is less than so many is not nearly a straight line within its error."""


def rooted(power: float, power_error: float | None, critical: float, p: float) -> dict[str, Any]:
    """The estimate and its root, with standard errors (the root's by the delta method) and 95 % intervals.

    Args:
        power: The estimate, >= 0.
        power_error: Its standard error; None when there is none.
        critical: How many standard errors the interval reaches to each side.
        p: Which root.
    """
    distance = math.pow(power, 1 / p)
    told: dict[str, Any] = {"distance": distance, "power": power, "distance_error": None, "power_error": power_error}
    if power_error is None:
        return {**told, "interval": None, "power_interval": None}
    if power > NOISE * power_error:
        told["distance_error"] = power_error / power * distance / p
    elif power_error == 0:
        told["distance_error"] = 0.0
    bounds = [max(0.0, power - critical * power_error), power + critical * power_error]
    return {**told, "interval": [math.pow(bound, 1 / p) for bound in bounds], "power_interval": bounds}


def length(deviations: Floats) -> float:
    """sqrt(sum_l deviations_l^2), where the squares would overflow too: costs go up to the largest float."""
    largest = float(np.abs(deviations).max())
    return largest * float(np.linalg.norm(deviations / largest)) if largest else 0.0
