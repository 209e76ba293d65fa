"""W_p^p of projected measures on the CPU.

A chunk of directions is projected by BLAS, each slice a contiguous row; the rows are sorted; and the cost is summed
without writing differences. A small request's chunks are computed by one thread each, in its cache. The chunks of a
large one are shared by all threads: a product over few directions would read the points too often, and memory is then
the same however many threads there are. How a request is cut depends on it alone, so that it gives the same bits in
any company.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple, TypeVar

import numpy as np

from gpu.cpu.sliced_problem import Block, Problem
from gpu.cpu.workspace import Workspaces
from gpu.device import Device
from gpu.leaves import Floats
from gpu.sliced.measures import Pair

WORKSPACE_BYTES = 4 * 2**20
"""Of each thread: a chunk of projections, and what sorting with weights needs."""

GROUPS = 8
"""For each thread, so that all end at about the same time."""

GROUP_WORK = 100_000
"""Projected points, about half a millisecond: less is not worth waking a thread."""

Item = TypeVar("Item")
Result = TypeVar("Result")


class Chunk(NamedTuple):
    """Directions [start, stop) of a problem."""

    problem: Problem
    start: int
    stop: int

    @property
    def work(self) -> int:
        """Projected points."""
        return (self.stop - self.start) * self.problem.atoms


def costs(requests: Sequence[tuple[Pair, Floats]], device: Device, report: Callable[[float], None]) -> list[Floats]:
    """As gpu.sliced.slices.costs."""
    problems = [Problem(pair, directions) for pair, directions in requests]
    work, done = sum(problem.atoms * len(problem.out) for problem in problems), 0
    # The threads are ours already: BLAS's own would only get into their way.
    with device.blas.limit(limits=1, user_api="blas"):
        for share in _computed(problems, device):
            done += share
            report(done / work)
        return [problem.answer() for problem in problems]


def _computed(problems: Iterable[Problem], device: Device) -> Iterator[int]:
    """Computes all, and says after each part how much work it was."""
    workspaces = Workspaces(device, WORKSPACE_BYTES)
    small = [chunk for problem in problems if problem.is_small for chunk in _chunks(problem)]
    groups = list(_groups(small, device.n_threads))
    yield from each(lambda group: _together(group, workspaces), groups, device)
    for problem in problems:
        if not problem.is_small:
            for chunk in _chunks(problem):
                _shared(chunk, workspaces, device)
                yield chunk.work


def _chunks(problem: Problem) -> Iterator[Chunk]:
    count = len(problem.out)
    for start in range(0, count, problem.chunk_rows):
        yield Chunk(problem, start, min(start + problem.chunk_rows, count))


def _groups(chunks: Sequence[Chunk], n_threads: int) -> Iterator[list[Chunk]]:
    """Neighbours together, of about equal work."""
    enough = max(GROUP_WORK, sum(chunk.work for chunk in chunks) // (GROUPS * n_threads))
    group: list[Chunk] = []
    gathered = 0
    for chunk in chunks:
        group.append(chunk)
        gathered += chunk.work
        if gathered >= enough:
            yield group
            group, gathered = [], 0
    if group:
        yield group


def _together(chunks: Sequence[Chunk], workspaces: Workspaces) -> int:
    """By one thread."""
    with workspaces.one() as workspace:
        for problem, start, stop in chunks:
            with workspace.piece():
                u, v = (workspace.take((stop - start, n), problem.dtype) for n in problem.sizes)
                problem.project(problem.thetas(start, stop), u, v, workspace)
                problem.compare(start, u, v, workspace)
    return sum(chunk.work for chunk in chunks)


def _shared(chunk: Chunk, workspaces: Workspaces, device: Device) -> None:
    """By all threads: first blocks of points are projected, then each slice is compared."""
    problem, start, stop = chunk
    memory = device.buffers.take(chunk.work, problem.dtype)
    u, v = np.split(memory, [(stop - start) * problem.sizes[0]])
    u, v = u.reshape(stop - start, -1), v.reshape(stop - start, -1)

    thetas = problem.thetas(start, stop)

    def project(block: Block) -> None:
        with workspaces.one() as workspace:
            problem.project_block(thetas, block, (u, v)[block.side], workspace)

    def compare(rows: slice) -> None:
        with workspaces.one() as workspace:
            problem.compare(start + rows.start, u[rows], v[rows], workspace)

    height = -(-GROUP_WORK // problem.atoms)
    for _ in each(project, list(problem.blocks()), device):
        pass
    for _ in each(compare, [slice(row, row + height) for row in range(0, stop - start, height)], device):
        pass


def each(function: Callable[[Item], Result], items: Sequence[Item], device: Device) -> Iterator[Result]:
    """Results in order, by the device's threads where there is more than one."""
    alone = len(items) == 1 or device.n_threads == 1
    return map(function, items) if alone else device.threads.map(function, items)
