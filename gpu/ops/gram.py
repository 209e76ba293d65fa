"""The Gram matrix: its formulas in plain NumPy, and how jobs of it are run on a device."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import islice
from typing import Any, NamedTuple, cast

import numpy as np

from gpu.cpu import gram as cpu
from gpu.device import Device
from gpu.leaves import Floats
from gpu.ops import formulas
from gpu.prepare import DOUBLE, SINGLE, Batch, Request, batches
from gpu.task import Answer, Task
from mercer.specs.gram import SMALL_ENTRIES, TILE_BYTES, Gram

CENTRED_BYTES = 2**20
"""Of the means that are subtracted at once."""

NAMES: dict[np.dtype[Any], str] = {SINGLE: "float32", DOUBLE: "float64"}
DTYPES: dict[str, np.dtype[Any]] = {"float32": SINGLE, "float64": DOUBLE}


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


def run(tasks: Sequence[Task], device: Device) -> list[Answer]:
    """One answer for each task. Small matrices are computed at once and together, large ones while they are read."""
    answers: list[Any] = [None] * len(tasks)
    alike: dict[tuple[Any, ...], list[int]] = defaultdict(list)
    for index, task in enumerate(tasks):
        alike[_way(task)].append(index)
    for way, indices in alike.items():
        answered = _answers(Way(*way), [tasks[index] for index in indices], device)
        for index, answer in zip(indices, answered, strict=True):
            answers[index] = answer
    return answers


class Way(NamedTuple):
    """What tasks that are computed together have in common, beside what `batches` sorts out."""

    dtype: str
    """Of the result."""
    normalise: bool
    diagonal_only: bool
    small: bool
    """Whether the matrices are computed at once, together."""


def _way(task: Task) -> tuple[Any, ...]:
    """The fields of a Way: a plain tuple, because every task of a batch has one made."""
    spec: Any = task.spec
    x = task.arrays["x"]
    entries = len(x) * len(task.arrays.get("y", x))
    return spec.dtype, spec.normalise, spec.diagonal_only, entries <= SMALL_ENTRIES and not spec.centre


def _answers(way: Way, tasks: Sequence[Task], device: Device) -> list[Answer]:
    """In order."""
    if not (way.small or way.diagonal_only):
        return [_large(task, device) for task in tasks]
    answers: list[Any] = [None] * len(tasks)
    dtype = DTYPES[way.dtype]
    made = _prepared(way.normalise, tasks, dtype)
    for batch, results in _diagonals(made) if way.diagonal_only else _evaluate(made, dtype, device):
        if way.normalise and batch.y is None:
            for result in results:
                _set_to_one(result if way.diagonal_only else result.diagonal())
        blocks = results if results[0].dtype == dtype else [result.astype(dtype) for result in results]
        arithmetic = NAMES[batch.dtype]
        for index, block in zip(batch.indices, blocks, strict=True):
            answers[index] = Answer(block.shape, dtype, (block,), _facts(tasks[index], arithmetic))
    return answers


def _facts(task: Task, arithmetic: str) -> dict[str, Any]:
    """What to tell the user."""
    spec: Any = task.spec
    return {"positive_definite": spec.kernel.positive_definite, "arithmetic": arithmetic}


def _prepared(normalise: bool, tasks: Sequence[Task], dtype: np.dtype[Any]) -> Iterator[Batch]:
    requests = [_request(task) for task in tasks]
    for batch in batches(requests, dtype):
        yield _normalised(batch, requests) if normalise else batch


def _request(task: Task) -> Request:
    spec: Any = task.spec
    return spec.kernel, task.arrays["x"], task.arrays.get("y")


def _normalised(batch: Batch, requests: Sequence[Request]) -> Batch:
    """The batch of K[i, j] / sqrt(k(x_i, x_i) k(y_j, y_j))."""
    if batch.y is None:
        rows = np.concatenate(cpu.diagonals(batch))
        return batch.normalised(rows, rows)
    chosen = [requests[index] for index in batch.indices]
    rows = _diagonal_of([(kernel, x, None) for kernel, x, _ in chosen])
    columns = _diagonal_of([(kernel, y, None) for kernel, _, y in chosen if y is not None])
    return batch.normalised(rows, columns)


def _diagonal_of(requests: Sequence[Request]) -> Floats:
    """k(x_i, x_i) of all requests, one after another."""
    parts: dict[int, Floats] = {}
    for batch in batches(requests, DOUBLE):
        parts.update(zip(batch.indices, cpu.diagonals(batch), strict=True))
    return np.concatenate([parts[index] for index in range(len(requests))])


def _set_to_one(diagonal: Floats) -> None:
    """Of a normalised K(x, x): exactly 1, or 0."""
    diagonal.flags.writeable = True
    diagonal[diagonal != 0] = 1


def _large(task: Task, device: Device) -> Answer:
    """The matrix by panels of rows."""
    spec = cast(Gram, task.spec)
    # Centring subtracts what all entries have in common, and with it leading digits: it is done in float64.
    (batch,) = _prepared(spec.normalise, [task], DOUBLE if spec.centre else DTYPES[spec.dtype])
    shape = (int(batch.x.sizes[0]), int(batch.columns.sizes[0]))
    blocks = (_centred if spec.centre else _panels)(batch, task, device)
    return Answer(shape, DTYPES[spec.dtype], blocks, _facts(task, NAMES[batch.dtype]))


def _panels(batch: Batch, task: Task, device: Device) -> Iterator[Floats]:
    """Blocks of rows; each is overwritten by the next."""
    n, start = int(batch.x.sizes[0]), 0
    for block in _raw_panels(batch, cast(Gram, task.spec), DTYPES[cast(Gram, task.spec).dtype], device):
        yield block
        start += len(block)
        task.report(start / n)


def _centred(batch: Batch, task: Task, device: Device) -> Iterator[Floats]:
    """H K H, in float64: the means of the rows, then each panel again without them."""
    spec, n = cast(Gram, task.spec), int(batch.x.sizes[0])
    means, start = np.empty(n), 0
    for block in _raw_panels(batch, spec, DOUBLE, device):
        means[start : start + len(block)] = block.mean(axis=1)
        start += len(block)
        task.report(start / (2 * n))
    panels: Iterable[Floats] = [block] if len(block) == n else _raw_panels(batch, spec, DOUBLE, device)
    del block  # the first of the new ones takes its memory
    start = 0
    for block in panels:
        _centre(block, means[start : start + len(block)], means)
        yield block.astype(DTYPES[spec.dtype], copy=False)
        start += len(block)
        task.report((n + start) / (2 * n))


def _centre(block: Floats, rows: Floats, columns: Floats) -> None:
    """Some rows at a time: the sums of two means, which keep K symmetric, would take as much memory as the block."""
    total = columns.mean()
    height = max(1, CENTRED_BYTES // columns.nbytes)
    for start in range(0, len(block), height):
        part = block[start : start + height]
        part -= rows[start : start + height, None] + columns
        part += total


def _raw_panels(batch: Batch, spec: Gram, dtype: np.dtype[Any], device: Device) -> Iterator[Floats]:
    """Blocks of rows before any centring."""
    rows, columns = int(batch.x.sizes[0]), int(batch.columns.sizes[0])
    height = min(rows, max(1, TILE_BYTES // (columns * batch.dtype.itemsize)))
    start = 0
    for block in _blocks(batch, dtype, height, device):
        if spec.normalise and batch.y is None:
            _set_to_one(block[:, start : start + len(block)].diagonal())
        yield block.astype(dtype, copy=False)
        start += len(block)


def _blocks(batch: Batch, dtype: np.dtype[Any], rows: int, device: Device) -> Iterator[Floats]:
    if device.is_cuda:
        from gpu.cuda import gram as cuda  # needs CuPy

        return cuda.panels(batch.programs()[0], dtype, rows)
    return cpu.panels(batch, rows, device)


def _diagonals(batches: Iterable[Batch]) -> Iterator[tuple[Batch, list[Floats]]]:
    return ((batch, cpu.diagonals(batch)) for batch in batches)


def _evaluate(batches: Iterable[Batch], dtype: np.dtype[Any], device: Device) -> Iterator[tuple[Batch, list[Floats]]]:
    """Each batch with its matrices."""
    if not device.is_cuda:
        yield from cpu.evaluate(batches, device)
        return
    from gpu.cuda import gram as cuda  # needs CuPy

    made = list(batches)
    matrices = iter(cuda.evaluate([program for batch in made for program in batch.programs()], dtype))
    for batch in made:
        yield batch, list(islice(matrices, len(batch.indices)))
