"""The Gram matrix: its formulas in plain NumPy, and how jobs of it are run on a device."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple, cast

import numpy as np

from gpu.cpu import gram as cpu
from gpu.device import Device
from gpu.leaves import Floats, Program
from gpu.ops import formulas
from gpu.prepare import Request, normalised, programs
from gpu.task import Answer, Task
from mercer.specs.gram import SMALL_ENTRIES, TILE_BYTES, Gram

DOUBLE = np.dtype(np.float64)


def reference(spec: Gram, arrays: Mapping[str, Floats]) -> Floats:
    """K of shape (n, m), or (n,) with diagonal_only, in float64 by the formulas as the spec's docstrings have them."""
    x, y = arrays["x"].astype(DOUBLE), arrays["y"].astype(DOUBLE) if "y" in arrays else None
    k = formulas.matrix(spec.kernel, x, y)
    if spec.normalise:
        rows = formulas.matrix(spec.kernel, x, None).diagonal()
        columns = rows if y is None else formulas.matrix(spec.kernel, y, None).diagonal()
        k = k / np.sqrt(np.outer(rows, columns))
    if spec.centre:
        k = k - k.mean(axis=0) - k.mean(axis=1)[:, None] + k.mean()
    return k.diagonal() if spec.diagonal_only else k


class Job(NamedTuple):
    """A task with its program."""

    task: Task
    spec: Gram
    program: Program

    @property
    def dtype(self) -> np.dtype[Any]:
        """Of the result."""
        return np.dtype(self.spec.dtype)

    @property
    def shape(self) -> tuple[int, int]:
        """Of the matrix."""
        first = self.program.leaves[0]
        return len(first.u), len(first.v)

    @property
    def small(self) -> bool:
        """Whether it shares a launch."""
        n, m = self.shape
        return n * m <= SMALL_ENTRIES and not self.spec.centre

    @property
    def facts(self) -> dict[str, Any]:
        """What to tell the user."""
        return {
            "positive_definite": self.spec.kernel.positive_definite,
            "arithmetic": self.program.leaves[0].u.dtype.name,
        }


def run(tasks: Sequence[Task], device: Device) -> list[Answer]:
    """One answer for each task. Small matrices are computed at once and together, large ones while they are read."""
    answers: list[Any] = [None] * len(tasks)
    alike: dict[tuple[str, bool], list[int]] = defaultdict(list)
    jobs = _jobs(tasks)
    for index, job in enumerate(jobs):
        if job.spec.diagonal_only or job.small:
            alike[job.spec.dtype, job.spec.diagonal_only].append(index)
        else:
            answers[index] = Answer(job.shape, job.dtype, _large(job, device), job.facts)
    for (dtype, diagonal), indices in alike.items():
        chosen = [jobs[index] for index in indices]
        made = _diagonals(chosen, np.dtype(dtype)) if diagonal else _small(chosen, np.dtype(dtype), device)
        for index, result in zip(indices, made, strict=True):
            answers[index] = Answer(result.shape, result.dtype, (result,), jobs[index].facts)
    return answers


def _jobs(tasks: Sequence[Task]) -> list[Job]:
    """Each task's program, normalised where that is asked for."""
    specs = [cast(Gram, task.spec) for task in tasks]
    requests = [
        Request(spec.kernel, task.arrays["x"], task.arrays.get("y")) for spec, task in zip(specs, tasks, strict=True)
    ]
    made: list[Any] = [None] * len(tasks)
    for precision in ("float32", "float64"):
        indices = [index for index, spec in enumerate(specs) if _arithmetic(spec) == precision]
        for index, program in zip(indices, programs([requests[i] for i in indices], np.dtype(precision)), strict=True):
            made[index] = _normalised(requests[index], program) if specs[index].normalise else program
    return [Job(*parts) for parts in zip(tasks, specs, made, strict=True)]


def _arithmetic(spec: Gram) -> str:
    """Centring subtracts what all entries have in common, and with it leading digits: it is done in float64."""
    return "float64" if spec.centre else spec.dtype


def _normalised(request: Request, program: Program) -> Program:
    points = [request.x] if request.y is None else [request.x, request.y]
    own = [program] if request.y is None else programs([Request(request.kernel, x, None) for x in points], DOUBLE)
    diagonals = cpu.diagonals(own, DOUBLE)
    return normalised(program, diagonals[0], diagonals[-1])


def _small(jobs: Sequence[Job], dtype: np.dtype[Any], device: Device) -> list[Floats]:
    matrices = _evaluate([job.program for job in jobs], dtype, device)
    for job, matrix in zip(jobs, matrices, strict=True):
        if job.spec.normalise:
            _set_unit_diagonal(job, matrix, 0)
    return matrices


def _diagonals(jobs: Sequence[Job], dtype: np.dtype[Any]) -> list[Floats]:
    diagonals = cpu.diagonals([job.program for job in jobs], dtype)
    for job, diagonal in zip(jobs, diagonals, strict=True):
        if job.spec.normalise:
            diagonal[diagonal != 0] = 1
    return diagonals


def _large(job: Job, device: Device) -> Iterator[Floats]:
    """The matrix by panels of rows."""
    if job.spec.centre:
        yield from _centred(job, device)
        return
    n = job.shape[0]
    for start, block in _panels(job, job.dtype, device):
        yield block
        job.task.report((start + len(block)) / n)


def _centred(job: Job, device: Device) -> Iterator[Floats]:
    """H K H, in float64: the means of the rows, then each panel again without them."""
    n = job.shape[0]
    means = np.empty(n)
    panels = _panels(job, DOUBLE, device)
    for start, block in panels:
        means[start : start + len(block)] = block.mean(axis=1)
        if len(block) == n:
            panels = iter([(0, block)])
            break
        job.task.report((start + len(block)) / (2 * n))
    else:
        panels = _panels(job, DOUBLE, device)
    for start, block in panels:
        end = start + len(block)
        block -= means[start:end, None] + means
        block += means.mean()
        yield block.astype(job.dtype, copy=False)
        job.task.report((n + end) / (2 * n))


def _panels(job: Job, dtype: np.dtype[Any], device: Device) -> Iterator[tuple[int, Floats]]:
    """First row and rows of each panel; overwritten by the next."""
    rows = max(1, TILE_BYTES // (job.shape[1] * job.program.leaves[0].u.itemsize))
    start = 0
    for block in _engine_panels(job.program, dtype, min(rows, job.shape[0]), device):
        _set_unit_diagonal(job, block, start)
        yield start, block
        start += len(block)


def _set_unit_diagonal(job: Job, block: Floats, start: int) -> None:
    """A normalised K(x, x) has exactly 1 on its diagonal, or 0."""
    if job.spec.normalise and job.program.symmetric:
        diagonal = np.einsum("ii->i", block[:, start : start + len(block)])
        diagonal[diagonal != 0] = 1


def _engine_panels(program: Program, dtype: np.dtype[Any], rows: int, device: Device) -> Iterator[Floats]:
    if device.is_cuda:
        from gpu.cuda import gram as cuda  # needs CuPy

        return cuda.panels(program, dtype, rows)
    return cpu.panels(program, dtype, rows, device)


def _evaluate(programs: Sequence[Program], dtype: np.dtype[Any], device: Device) -> list[Floats]:
    if device.is_cuda:
        from gpu.cuda import gram as cuda  # needs CuPy

        return cuda.evaluate(programs, dtype)
    return cpu.evaluate(programs, dtype, device)
