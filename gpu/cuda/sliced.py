"""Costs of slices on a CUDA device: small measures in one launch for many requests, large ones by some slices."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence

import numpy as np

from gpu.cuda import sliced_large
from gpu.cuda.backend import Backend, CudaDevice
from gpu.cuda.sliced_packing import MAX_ATOMS, Capacity, Instance, Request, instance, pack
from gpu.leaves import Floats
from gpu.sliced import measures
from gpu.sliced.measures import Measure, Pair

FILE = "sliced_wasserstein.cu"

LAUNCH_BYTES = 2**28
"""Points and directions that are packed for a launch: bounds the host's memory, and the time between two reports."""

CUDA = CudaDevice()


def costs(
    requests: Sequence[Request], report: Callable[[float], None] = lambda fraction: None, backend: Backend = CUDA
) -> list[Floats]:
    """As gpu.sliced.slices.costs.

    When the device's memory does not suffice the batch is halved, and then the directions of a request.

    Raises:
        MemoryError: the measures of a request and one direction do not fit; says how many bytes they need.
    """
    alike: dict[Instance | None, list[int]] = defaultdict(list)
    for index, (pair, _) in enumerate(requests):
        alike[instance(pair) if max(pair.x.n, pair.y.n) <= MAX_ATOMS else None].append(index)
    out: dict[int, Floats] = {}
    for kernel, indices in alike.items():
        chosen = [requests[index] for index in indices]
        part = _part(report, len(out), len(chosen), len(requests))
        found = sliced_large.costs(chosen, part, backend) if kernel is None else _small(chosen, kernel, part, backend)
        out.update(zip(indices, found, strict=True))
    return [in_units(*request, out[index]) for index, request in enumerate(requests)]


def load(backend: Backend = CUDA) -> None:
    """Compile every instance, or load it, by computing one slice with each."""
    few = Measure(np.zeros((1, 1)))
    for dtype in (np.dtype(np.float32), np.dtype(np.float64)):
        for n in (*(capacity.atoms for capacity in Capacity), MAX_ATOMS + 1):
            points = np.arange(1.0, n + 1)
            for weights in (None, points / points.sum()):
                made = measures.pair(Measure(points[:, None], weights), few, 2, dtype)
                costs([(made, np.ones((1, 1)))], backend=backend)


def _part(report: Callable[[float], None], done: int, count: int, total: int) -> Callable[[float], None]:
    """Reports the share of some requests as that of all."""
    return lambda share: report((done + share * count) / total)


def in_units(pair: Pair, directions: Floats, out: Floats) -> Floats:
    """From those of u and v to those of x and y: see gpu.sliced.measures.Pair."""
    return out * pair.scale**pair.p + (directions @ pair.delta) ** 2


def _small(
    requests: Sequence[Request], kernel: Instance, report: Callable[[float], None], backend: Backend
) -> list[Floats]:
    """Requests that share an instance, as many to a launch as LAUNCH_BYTES allow."""
    found: list[list[Floats]] = [[] for _ in requests]
    pieces = [(index, piece) for index, request in enumerate(requests) for piece in _pieces(request)]
    ends = np.cumsum([_n_bytes(piece) for _, piece in pieces])
    start = 0
    while start < len(pieces):
        limit = LAUNCH_BYTES + (ends[start - 1] if start else 0)
        stop = max(start + 1, int(np.searchsorted(ends, limit, side="right")))
        computed = _together([piece for _, piece in pieces[start:stop]], kernel, backend)
        for (index, _), out in zip(pieces[start:stop], computed, strict=True):
            found[index].append(out)
        start = stop
        report(start / len(pieces))
    return [np.concatenate(parts) for parts in found]


def _pieces(request: Request) -> list[Request]:
    """The request, its directions in several where a launch does not take them all."""
    pair, directions = request
    step = max(1, LAUNCH_BYTES // (2 * pair.x.d * pair.dtype.itemsize))
    return [(pair, directions[start : start + step]) for start in range(0, len(directions), step)]


def _n_bytes(request: Request) -> int:
    pair, directions = request
    return (pair.x.n + pair.y.n + len(directions)) * pair.x.d * pair.dtype.itemsize


def _together(requests: Sequence[Request], kernel: Instance, backend: Backend) -> list[Floats]:
    try:
        return _launch(requests, kernel, backend)
    except MemoryError:
        pass  # and go on outside: the exception's traceback keeps the device arrays alive
    if len(requests) > 1:
        middle = len(requests) // 2
        return [*_together(requests[:middle], kernel, backend), *_together(requests[middle:], kernel, backend)]
    ((pair, directions),) = requests
    if len(directions) == 1:
        raise MemoryError(sliced_large.shortage(pair, 0))
    middle = len(directions) // 2
    halves = [(pair, directions[:middle]), (pair, directions[middle:])]
    return [np.concatenate([_together([half], kernel, backend)[0] for half in halves])]


def _launch(requests: Sequence[Request], kernel: Instance, backend: Backend) -> list[Floats]:
    packed = pack(requests, kernel)
    out = backend.empty(int(packed.outs[-1]), np.dtype(np.float64))
    arguments = [backend.put(part) for part in (packed.records, packed.points, packed.masses)]
    count = np.int64(len(requests))
    backend.launch(FILE, kernel.expression, packed.n_blocks, kernel.n_threads, (*arguments, count, out))
    return packed.split(backend.get(out))
