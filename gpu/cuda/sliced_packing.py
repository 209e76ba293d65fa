"""Requests of sliced Wasserstein costs as the buffers that sliced_wasserstein.cu reads; pure NumPy."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import Any, NamedTuple

import numpy as np

from gpu.cuda import loader
from gpu.cuda.packing import Bytes, Integers, Pool, ceil_div, starts
from gpu.leaves import Floats
from gpu.sliced.measures import Measure, Pair

WHOLE = 2**62
"""What the weights of a measure sum to on the device: coupling.cuh."""
LANES = 32
"""Of a warp."""
MAX_ITEMS = 8
"""Atoms that a thread sorts: sorting.cuh."""
WARP_TEAMS = 8
"""Warps of a block that each sort on their own: sorting.cuh."""

REQUEST = np.dtype(
    {
        "names": ["n", "m", "dimensions", "directions", "u", "v", "theta", "u_mass", "v_mass", "out", "p"],
        "formats": ["i8"] * 10 + ["f8"],
    }
)

Request = tuple[Pair, Floats]
"""A gpu.sliced.slices.Slices: a pair and its directions."""


class Mass(IntEnum):
    """Whether atoms keep the number that their weight is found by."""

    UNIFORM = 0
    WEIGHTED = 1


class Capacity(IntEnum):
    """The most atoms that a team of threads sorts."""

    C32 = 0
    C64 = 1
    C128 = 2
    C256 = 3
    C512 = 4
    C1024 = 5
    C2048 = 6
    C4096 = 7

    @property
    def atoms(self) -> int:
        """As a number."""
        return LANES << self

    @property
    def threads(self) -> int:
        """Of a team."""
        return max(LANES, self.atoms // MAX_ITEMS)

    @property
    def teams(self) -> int:
        """Of a block."""
        return WARP_TEAMS if self.threads == LANES else 1


MAX_ATOMS = Capacity.C4096.atoms


class Instance(NamedTuple):
    """An instance of the kernel template."""

    dtype: np.dtype[Any]
    """Of projecting and sorting."""
    mass: Mass
    capacity: Capacity

    @property
    def expression(self) -> str:
        """Its name in C++."""
        return loader.expression("sliced_wasserstein", *self)

    @property
    def n_threads(self) -> int:
        """Of a block."""
        return self.capacity.teams * self.capacity.threads


def instance(pair: Pair) -> Instance:
    """The kernel for a pair of at most MAX_ATOMS atoms each: it depends on nothing else in the batch."""
    largest = max(pair.x.n, pair.y.n)
    return Instance(pair.dtype, mass(pair), next(c for c in Capacity if largest <= c.atoms))


def mass(pair: Pair) -> Mass:
    """Weighted where one of the measures is."""
    return Mass.UNIFORM if pair.x.weights is None and pair.y.weights is None else Mass.WEIGHTED


def masses(measure: Measure) -> Integers:
    """The weights as whole numbers of sum WHOLE: (n,) int64.

    Each is within 2^-63 of its weight; what rounding leaves over, the largest atom takes.
    """
    out = np.rint(measure.masses() * float(WHOLE)).astype(np.int64)
    out[out.argmax()] += WHOLE - out.sum()
    return out


@dataclass(frozen=True)
class Packed:
    """One launch of requests that share an instance."""

    records: Bytes
    points: Bytes
    masses: Bytes
    n_blocks: int
    outs: Integers
    """Where each request's costs begin, and where the last ones end."""

    def split(self, out: Floats) -> list[Floats]:
        """Each request's costs."""
        return np.split(out, self.outs[1:-1])


def pack(requests: Sequence[Request], kernel: Instance) -> Packed:
    """The buffers of a launch."""
    pairs = [larger_first(pair) for pair, _ in requests]
    points, weights = Pool(kernel.dtype), Pool(np.dtype(np.int64))
    # Both of these live as long as the pools, which know an array by its identity.
    prepared = [(np.ascontiguousarray(pair.u().T), np.ascontiguousarray(pair.v().T)) for pair in pairs]
    weighed = [(masses(pair.x), masses(pair.y)) for pair in pairs] if kernel.mass is Mass.WEIGHTED else []
    records = np.zeros(len(requests), REQUEST)
    records["n"], records["m"] = [pair.x.n for pair in pairs], [pair.y.n for pair in pairs]
    records["p"], records["dimensions"] = [pair.p for pair in pairs], [pair.x.d for pair in pairs]
    records["directions"] = [len(directions) for _, directions in requests]
    records["u_mass"] = [weights.add(u) for u, _ in weighed] or -1
    records["v_mass"] = [weights.add(v) for _, v in weighed] or -1
    # Points last: reading beyond the end of them, the likeliest mistake in a kernel, leaves the buffer.
    records["theta"] = [points.add(directions) for _, directions in requests]
    records["u"], records["v"] = np.array([(points.add(u), points.add(v)) for u, v in prepared]).T
    records["out"] = starts(records["directions"])
    prefix = np.concatenate([[0], np.cumsum(ceil_div(records["directions"], kernel.capacity.teams))])
    buffer = np.concatenate([part.view(np.uint8) for part in (prefix, records)])
    outs = np.append(records["out"], records["directions"].sum())
    return Packed(buffer, points.buffer(), weights.buffer(), int(prefix[-1]), outs)


def larger_first(pair: Pair) -> Pair:
    """The kernels give each of equal atoms of the larger measure at most two partners of the smaller."""
    if pair.x.n >= pair.y.n:
        return pair
    return pair._replace(x=pair.y, y=pair.x, x_centre=pair.y_centre, y_centre=pair.x_centre, delta=-pair.delta)
