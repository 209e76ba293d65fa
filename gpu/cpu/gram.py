"""Gram matrices on the CPU: many small ones in one compiled call, a large one by panels of rows."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future
from functools import partial
from itertools import groupby, pairwise
from queue import SimpleQueue

import numpy as np

from gpu.cpu import strips
from gpu.cpu.expansion import Expansion, expansions, tile
from gpu.cpu.packing import NO_PRODUCTS, PART, Packed, Records, pack
from gpu.cpu.plan import ENTRY_WORK, Part, Plan, plan
from gpu.device import Device
from gpu.leaves import Floats
from gpu.prepare import Batch

SERIAL_WORK = 1_000_000
"""Entries times dimensions, about 0.1 ms; less is not worth waking threads."""


def evaluate(batches: Iterable[Batch], device: Device) -> Iterator[tuple[Batch, list[Floats]]]:
    """Each batch with its matrices, shape (n, m) each; a batch is computed while the next is prepared and packed."""
    started = [(batch, *_start(batch, device)) for batch in batches]
    for batch, matrices, running in started:
        for one in running:
            one.result()
        yield batch, matrices


def _start(batch: Batch, device: Device) -> tuple[list[Floats], list[Future[None]]]:
    packed = pack(batch)
    parts = _whole(packed)
    sizes = packed.tasks["n"] * packed.tasks["m"]
    out = device.buffers.take(int(sizes.sum()), packed.points.dtype)
    work = sizes * np.add.reduceat(packed.leaves["k"] + ENTRY_WORK, packed.tasks["leaf"])
    share = partial(strips.compute, packed, NO_PRODUCTS[out.dtype], parts)
    if work.sum() < SERIAL_WORK:
        share(0, len(parts), out)
        running = []
    else:
        running = [
            device.threads.submit(share, first, last, out) for first, last in pairwise(_shares(work, device.n_threads))
        ]
    return _matrices(out, packed.tasks), running


def diagonals(batch: Batch) -> list[Floats]:
    """k(x_i, x_i), shape (n,) each, of a batch without y."""
    packed = pack(batch)
    sizes = packed.tasks["n"]
    parts = _split(np.empty(int(sizes.sum()), packed.points.dtype), sizes)
    for index, part in enumerate(parts):
        strips.diagonal(packed, index, part)
    return parts


def panels(batch: Batch, rows: int, device: Device) -> Iterator[Floats]:
    """The matrix of a batch of one program as blocks of at most so many rows; each is overwritten by the next."""
    (program,) = batch.programs()
    cut = plan(program, rows)
    expanded = expansions(program)
    packed = pack(batch, [expansion.leaf for expansion in expanded])
    work = _Work(cut, packed, expanded, device)
    out = device.buffers.take(cut.panel_rows * cut.m, packed.points.dtype)
    for row, row_end in cut.panels():
        work.panel(row, row_end, out)
        yield out[: (row_end - row) * cut.m].reshape(-1, cut.m)


class _Work:
    """What the threads share while they compute the parts of a large matrix."""

    def __init__(self, plan: Plan, packed: Packed, expanded: list[Expansion], device: Device) -> None:
        self._plan = plan
        self._packed = packed
        self._expanded = expanded
        self._device = device
        self._workspaces: SimpleQueue[Floats] = SimpleQueue()
        size = len(expanded) * (plan.edge or 0) ** 2
        for _ in range(device.n_threads):
            self._workspaces.put(np.empty(size, packed.points.dtype))

    def panel(self, row: int, row_end: int, out: Floats) -> None:
        """Rows [row, row_end) into out."""
        m = self._plan.m
        rectangles = self._plan.parts(row, row_end)
        parts = np.array([(0, *part, (part.row - row) * m + part.column, m) for part in rectangles], PART)
        jobs = [partial(self._part, parts, index, row, out) for index in range(len(parts))]
        if not self._expanded:
            _run(jobs, self._device)
            return
        # The threads are ours already: BLAS's own would only get into their way.
        with self._device.blas.limit(limits=1, user_api="blas"):
            _run(jobs, self._device)

    def _part(self, parts: Records, index: int, first_row: int, out: Floats) -> None:
        symmetric, products = self._plan.symmetric, NO_PRODUCTS[out.dtype]
        workspace = self._workspaces.get()
        if self._expanded:
            products = tile(self._expanded, Part(*parts[index].tolist()[1:5]), workspace, symmetric=symmetric)
        strips.compute(self._packed, products, parts, index, index + 1, out)
        on_diagonal = parts["row"][index] == parts["column"][index]
        if self._plan.mirrored or (symmetric and self._expanded and on_diagonal):
            strips.mirror(out, first_row, parts, index)
        self._workspaces.put(workspace)


def _whole(packed: Packed) -> Records:
    """Every matrix as one part, one after another."""
    n, m = packed.tasks["n"], packed.tasks["m"]
    parts = np.zeros(len(n), PART)
    parts["task"], parts["row_end"], parts["column_end"], parts["stride"] = np.arange(len(n)), n, m, m
    parts["out"] = np.cumsum(n * m) - n * m
    return parts


def _matrices(out: Floats, tasks: Records) -> list[Floats]:
    """A view for each; those of one shape are made together, which is quicker."""
    matrices: list[Floats] = []
    start = 0
    for (n, m), like in groupby(zip(tasks["n"].tolist(), tasks["m"].tolist(), strict=True)):
        count = len(list(like))
        end = start + count * n * m
        matrices.extend(out[start:end].reshape(count, n, m))
        start = end
    return matrices


def _split(flat: Floats, sizes: Floats) -> list[Floats]:
    ends = np.cumsum(sizes).tolist()
    return [flat[start:end] for start, end in zip([0, *ends], ends, strict=False)]


def _shares(work: Floats, parts: int) -> list[int]:
    """Bounds that cut tasks into parts of about equal work."""
    done = np.cumsum(work)
    inner = np.searchsorted(done, done[-1] * np.arange(1, parts) / parts)
    return sorted({0, *inner.tolist(), len(work)})


def _run(jobs: Sequence[Callable[[], None]], device: Device) -> None:
    """All jobs, on the device's threads where there is more than one."""
    if len(jobs) == 1 or device.n_threads == 1:
        for job in jobs:
            job()
    else:
        for _ in device.threads.map(lambda job: job(), jobs):
            pass
