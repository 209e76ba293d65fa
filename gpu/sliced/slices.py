"""The cost of every slice: W_p^p of two measures projected to a line. Everything sliced is made of these numbers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from gpu.cpu import sliced as cpu
from gpu.device import Device
from gpu.leaves import Floats
from gpu.sliced.measures import Pair

Report = Callable[[float], None]
"""Told the share that is done; may raise Cancelled."""


class Slices(NamedTuple):
    """Two measures and the directions to project them on."""

    pair: Pair
    directions: Floats
    """(L, d) float64, rows of length 1."""


def costs(requests: Sequence[Slices], device: Device, report: Report = lambda fraction: None) -> list[Floats]:
    """W_p^p(theta#x, theta#y) for every direction theta, (L,) float64, for each request.

    Requests share launches, and memory is bounded however many points and directions there are.
    """
    if device.is_cuda:
        from gpu.cuda import sliced as cuda  # needs CuPy

        return cuda.costs(requests, report)
    return cpu.costs(requests, device, report)
