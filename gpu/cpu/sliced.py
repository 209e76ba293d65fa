"""W_p^p of projected measures on the CPU: project a chunk of directions, sort, and compare the quantile functions."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from gpu.cpu.jit import inner, outer
from gpu.device import Device
from gpu.leaves import Floats
from gpu.sliced.measures import Measure, Pair

CHUNK_BYTES = 4 * 2**20
"""Projections that are sorted together: they stay in the cache, and memory is bounded."""


def costs(requests: Sequence[tuple[Pair, Floats]], device: Device, report: Callable[[float], None]) -> list[Floats]:
    """As gpu.sliced.slices.costs."""
    return [_costs(*request, _part(report, index, len(requests))) for index, request in enumerate(requests)]


def _part(report: Callable[[float], None], index: int, count: int) -> Callable[[float], None]:
    """Reports the share of one request as that of all."""
    return lambda share: report((index + share) / count)


def _costs(pair: Pair, directions: Floats, report: Callable[[float], None]) -> Floats:
    u, v = pair.u(), pair.v()
    out = np.empty(len(directions))
    step = max(1, CHUNK_BYTES // ((len(u) + len(v)) * u.itemsize))
    for start in range(0, len(directions), step):
        chunk = directions[start : start + step]
        out[start : start + step] = _chunk(pair, u, v, chunk.astype(pair.dtype))
        report(min(1.0, (start + step) / len(directions)))
    out *= pair.scale**pair.p
    out += (directions @ pair.delta) ** 2
    return out


def _chunk(pair: Pair, u: Floats, v: Floats, directions: Floats) -> Floats:
    """Of the prepared measures."""
    projected_u, projected_v = directions @ u.T, directions @ v.T
    if pair.x.weights is None and pair.y.weights is None and len(u) == len(v):
        projected_u.sort(axis=1)
        projected_v.sort(axis=1)
        return (np.abs(projected_u - projected_v).astype(np.float64) ** pair.p).mean(axis=1)
    a, u_order = _masses(pair.x, len(v)), projected_u.argsort(axis=1)
    b, v_order = _masses(pair.y, len(u)), projected_v.argsort(axis=1)
    uniform = pair.x.weights is None and pair.y.weights is None
    if not uniform:
        a, b = _weights(pair.x), _weights(pair.y)
    out = np.empty(len(directions))
    _merge(projected_u, u_order, a, projected_v, v_order, b, pair.p, out)
    return out / (len(u) * len(v)) if uniform else out


def _masses(measure: Measure, others: int) -> Floats:
    """Of equal weights as whole numbers: the other measure's number of atoms each."""
    return np.full(measure.n, float(others))


def _weights(measure: Measure) -> Floats:
    return np.full(measure.n, 1 / measure.n) if measure.weights is None else measure.weights


@outer
def _merge(u: Floats, u_order: Floats, a: Floats, v: Floats, v_order: Floats, b: Floats, p: float, out: Floats) -> None:
    """The sum of |u_i - v_j|^p times the mass that the quantile functions share, for each row of u and v."""
    for row in range(len(out)):
        out[row] = _merge_row(u[row], u_order[row], a, v[row], v_order[row], b, p)


@inner
def _merge_row(u: Floats, u_order: Floats, a: Floats, v: Floats, v_order: Floats, b: Floats, p: float) -> float:
    """Ends with the last atoms, not with the mass: rounding may leave a little over, which goes to the last one."""
    i, j, total = 0, 0, 0.0
    left_a, left_b = a[u_order[0]], b[v_order[0]]
    while True:
        distance = abs(np.float64(u[u_order[i]]) - np.float64(v[v_order[j]])) ** p
        last_a, last_b = i == len(a) - 1, j == len(b) - 1
        if last_a and last_b:
            return total + max(left_a, left_b) * distance
        if last_b or (left_a <= left_b and not last_a):
            total += left_a * distance
            left_b -= left_a
            i += 1
            left_a = a[u_order[i]]
        else:
            total += left_b * distance
            left_a -= left_b
            j += 1
            left_b = b[v_order[j]]
