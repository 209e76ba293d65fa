"""Costs of slices of measures that are too large for a block of threads: see sliced_large.cu for the steps."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from enum import IntEnum
from typing import Any, NamedTuple

import numpy as np

from gpu.cuda import loader
from gpu.cuda.backend import Backend, DeviceArray
from gpu.cuda.packing import TILE, ceil_div
from gpu.cuda.sliced_packing import Mass, Request, larger_first, mass, masses
from gpu.leaves import Floats
from gpu.sliced.measures import Pair

FILE = "sliced_large.cu"
N_THREADS = 256
"""Of a block: tiles.cuh."""
PART = 16_384
"""Places of a sorted slice that a block compares: sliced_large.cu."""
ATOMS_AT_ONCE = 2**28
"""Beyond, sorting more slices together is no faster."""
SHARE = 0.8
"""Of the free memory that a chunk of slices may take; the pool of memory is never without gaps."""

KEY, INDEX, DOUBLE = np.dtype(np.uint64), np.dtype(np.int64), np.dtype(np.float64)


class Keys(IntEnum):
    """What is sorted."""

    WITH_SLICE = 0
    """slice << 32 | the bits of a float."""
    PLAIN = 1
    """The bits of a value; its slice is found by its place among the elements."""


BYTES = {Keys.WITH_SLICE: 24, Keys.PLAIN: 72}
"""Device memory of an atom of a slice while it is sorted: keys, ranks, and as much again for the library."""


class Plan(NamedTuple):
    """How a pair is computed."""

    dtype: np.dtype[Any]
    mass: Mass
    n: int
    m: int

    @property
    def keys(self) -> Keys:
        """Keys with the slice where a value and nothing else is wanted, and leaves room for it."""
        return Keys.WITH_SLICE if self.mass is Mass.UNIFORM and self.dtype.itemsize == 4 else Keys.PLAIN

    @property
    def parts(self) -> int:
        """Of each slice."""
        return int(ceil_div(self.n if self.mass is Mass.UNIFORM else self.n + self.m, PART))

    def slices(self, n_bytes: int) -> int:
        """How many are sorted together when so many bytes are free; a number that changes no bit of the result."""
        fitting = int(SHARE * n_bytes) // (BYTES[self.keys] * (self.n + self.m))
        return max(1, min(fitting, ATOMS_AT_ONCE // (self.n + self.m)))


class Sorted(NamedTuple):
    """The values of some slices on the device."""

    values: DeviceArray
    """Of the plan's dtype, or keys with the slice."""
    sums: DeviceArray
    """Of masses; None where all are equal."""


def costs(requests: Sequence[Request], report: Callable[[float], None], backend: Backend) -> list[Floats]:
    """Of u and v, one request after another.

    Raises:
        MemoryError: the points and one slice do not fit; says how many bytes they need.
    """
    return [
        _costs(larger_first(pair), directions.astype(pair.dtype), _part(report, index, len(requests)), backend)
        for index, (pair, directions) in enumerate(requests)
    ]


def shortage(pair: Pair, per_atom: int) -> str:
    """What a MemoryError says of a pair and one direction."""
    n_bytes = (pair.x.n + pair.y.n) * (pair.x.d * pair.dtype.itemsize + per_atom)
    return f"expected {n_bytes} bytes of free device memory for the points and one direction, got less"


def _part(report: Callable[[float], None], index: int, count: int) -> Callable[[float], None]:
    return lambda share: report((index + share) / count)


def _costs(pair: Pair, directions: Floats, report: Callable[[float], None], backend: Backend) -> Floats:
    plan = Plan(pair.dtype, mass(pair), pair.x.n, pair.y.n)
    measures = put(pair, plan, backend)
    out, start = np.empty(len(directions)), 0
    step = plan.slices(backend.free())
    while start < len(directions):
        chunk = directions[start : start + step]
        try:
            found = compute(plan, measures, pair.p, chunk, backend) if measures else None
        except MemoryError:
            found = None
        if found is not None:
            out[start : start + len(chunk)] = found
            start += len(chunk)
            report(start / len(directions))
        elif step > 1 and measures:
            step = max(1, step // 2)
        else:
            raise MemoryError(shortage(pair, BYTES[plan.keys]))
    return out


class OnDevice(NamedTuple):
    """A measure."""

    n: int
    points: DeviceArray
    """(n, d) of the plan's dtype."""
    masses: DeviceArray
    """(n,) int64, or None."""


def put(pair: Pair, plan: Plan, backend: Backend) -> tuple[OnDevice, OnDevice] | None:
    """Copies u and v to the device; None when they do not fit."""
    weighted = plan.mass is Mass.WEIGHTED
    try:
        u = OnDevice(plan.n, backend.put(pair.u().reshape(-1)), backend.put(masses(pair.x)) if weighted else None)
        v = OnDevice(plan.m, backend.put(pair.v().reshape(-1)), backend.put(masses(pair.y)) if weighted else None)
    except MemoryError:
        return None
    return u, v


def compute(plan: Plan, measures: tuple[OnDevice, OnDevice], p: float, directions: Floats, backend: Backend) -> Floats:
    """The costs of some slices, sorted together."""
    on_device = backend.put(directions.reshape(-1))
    u, v = (_sorted(plan, measure, on_device, directions.shape, backend) for measure in measures)
    out = backend.empty(len(directions) * plan.parts, DOUBLE)
    sizes = np.int64(plan.n), np.int64(plan.m), np.float64(p)
    if plan.mass is Mass.UNIFORM:
        stored = KEY if plan.keys is Keys.WITH_SLICE else plan.dtype
        _launch(backend, loader.expression("sliced_compare", stored), out.size, (u.values, v.values, *sizes, out))
    else:
        sequences = (*u, *v)
        _launch(backend, loader.expression("sliced_transport", plan.dtype), out.size, (*sequences, *sizes, out))
    return backend.get(out).reshape(len(directions), plan.parts).sum(axis=1)


def _sorted(plan: Plan, measure: OnDevice, directions: DeviceArray, shape: tuple[int, ...], backend: Backend) -> Sorted:
    (slices, d), n = shape, measure.n
    keys = backend.empty(slices * n, KEY)
    tiles = ceil_div(slices, TILE) * ceil_div(n, TILE)
    arguments = (measure.points, directions, np.int64(n), np.int64(slices), np.int64(d), keys)
    _launch(backend, loader.expression("sliced_project", plan.dtype, plan.keys), tiles, arguments)
    if plan.keys is Keys.WITH_SLICE:
        backend.sort(keys)
        return Sorted(keys, None)
    return _ranked(plan, measure, keys, slices, backend)


def _ranked(plan: Plan, measure: OnDevice, keys: DeviceArray, slices: int, backend: Backend) -> Sorted:
    """All values are ordered, then the slices are taken apart by sorting (slice, rank)."""
    n, count, blocks = np.int64(measure.n), np.int64(keys.size), ceil_div(keys.size, N_THREADS)
    order, ranks = backend.argsort(keys), backend.empty(keys.size, KEY)
    _launch(backend, loader.expression("sliced_rank", KEY), blocks, (order, n, count, ranks))
    backend.sort(ranks)
    values, sums = backend.empty(keys.size, plan.dtype), None
    _launch(backend, loader.expression("sliced_gather", plan.dtype), blocks, (keys, order, ranks, count, values))
    if measure.masses is not None:
        sums = backend.empty(keys.size, INDEX)
        arguments = (order, ranks, measure.masses, n, sums)
        _launch(backend, loader.expression("sliced_accumulate", KEY), slices, arguments)
    return Sorted(values, sums)


def _launch(backend: Backend, expression: str, n_blocks: int, arguments: Sequence[Any]) -> None:
    backend.launch(FILE, expression, int(n_blocks), N_THREADS, arguments)
