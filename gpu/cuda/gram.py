"""Gram matrices on a CUDA device: many small ones in a launch, a large one by panels of rows."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from gpu.cuda import loader
from gpu.cuda.backend import Backend, CudaDevice, DeviceArray
from gpu.cuda.packing import TILE, Arrays, Floats, Rows, pack_arrays, pack_records, precision, whole
from gpu.leaves import Op, Program

FILE = "gram.cu"
N_THREADS = 256
"""Of a block: tiles.cuh."""

CUDA = CudaDevice()


def evaluate(programs: Sequence[Program], dtype: np.dtype[Any], backend: Backend = CUDA) -> list[Floats]:
    """The matrices, shape (n, m) each; one launch for all programs that share a kernel instance.

    When the device's memory does not suffice the batch is halved, and then the matrix.

    Raises:
        MemoryError: a single row of tiles does not fit; says how many bytes it needs.
    """
    alike = defaultdict(list)
    for index, program in enumerate(programs):
        alike[instance(program, dtype)].append(index)
    matrices: dict[int, Floats] = {}
    for expression, indices in alike.items():
        computed = _evaluate_alike([programs[index] for index in indices], dtype, expression, backend)
        matrices.update(zip(indices, computed, strict=True))
    return [matrices[index] for index in range(len(programs))]


def panels(program: Program, dtype: np.dtype[Any], rows: int, backend: Backend = CUDA) -> Iterator[Floats]:
    """The matrix as blocks of at most so many rows, in order; fewer once the device's memory does not suffice.

    Raises:
        MemoryError: a single row of tiles does not fit; says how many bytes it needs.
    """
    arrays = pack_arrays([program], dtype)
    on_device = _put(arrays, backend)
    expression = instance(program, dtype)
    n, start = whole(program).stop, 0
    while start < n:
        job = Rows(program, start, min(start + rows, n))
        try:
            (block,) = _launch([job], arrays, on_device, dtype, expression, backend)
        except MemoryError:
            block = None
        if block is not None:
            yield block
            start = job.stop
        elif rows <= TILE:
            raise MemoryError(_shortage(f"{job.stop - start} rows of {job.columns}", job.size * dtype.itemsize))
        else:
            rows = max(TILE, rows // 2)


def instance(program: Program, dtype: np.dtype[Any]) -> str:
    """The kernel that computes the program: a fused one for a single leaf, else the interpreter."""
    types = (dtype, precision(program, dtype))
    if [step.op for step in program.code] != [Op.LEAF]:
        return loader.expression("gram_program", *types)
    leaf = program.leaves[program.code[0].index]
    return loader.expression("gram_leaf", *types, leaf.base, leaf.function)


def _evaluate_alike(
    programs: Sequence[Program], dtype: np.dtype[Any], expression: str, backend: Backend
) -> list[Floats]:
    try:
        arrays = pack_arrays(programs, dtype)
        jobs = [whole(program) for program in programs]
        return _launch(jobs, arrays, backend.put(arrays.buffer), dtype, expression, backend)
    except MemoryError:
        pass  # and go on outside: the exception's traceback keeps the device arrays alive
    if len(programs) == 1:
        return [_by_panels(programs[0], dtype, backend)]
    middle = len(programs) // 2
    halves = (programs[:middle], programs[middle:])
    return [matrix for half in halves for matrix in _evaluate_alike(half, dtype, expression, backend)]


def _by_panels(program: Program, dtype: np.dtype[Any], backend: Backend) -> Floats:
    rows = whole(program)
    out = np.empty((rows.stop, rows.columns), dtype)
    start = 0
    for block in panels(program, dtype, max(TILE, rows.stop // 2), backend):
        out[start : start + len(block)] = block
        start += len(block)
    return out


def _launch(
    jobs: Sequence[Rows],
    arrays: Arrays,
    on_device: DeviceArray,
    dtype: np.dtype[Any],
    expression: str,
    backend: Backend,
) -> list[Floats]:
    records = pack_records(jobs, arrays)
    out = backend.empty(records.size, dtype)
    arguments = (backend.put(records.buffer), on_device, np.int64(len(jobs)), out)
    backend.launch(FILE, expression, records.n_blocks, N_THREADS, arguments)
    flat = backend.get(out)
    return [
        flat[offset : offset + job.size].reshape(-1, job.columns)
        for job, offset in zip(jobs, records.offsets, strict=True)
    ]


def _put(arrays: Arrays, backend: Backend) -> DeviceArray:
    try:
        return backend.put(arrays.buffer)
    except MemoryError:
        raise MemoryError(_shortage("the points", arrays.buffer.nbytes)) from None


def _shortage(what: str, n_bytes: int) -> str:
    return f"expected {n_bytes} bytes of free device memory for {what}, got less"
