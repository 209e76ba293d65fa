"""Gram matrices on a CUDA device: many small ones in a launch, a large one by panels of rows."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from gpu.cuda import loader
from gpu.cuda.backend import Backend, CudaDevice, DeviceArray
from gpu.cuda.packing import TILE, Arrays, pack_arrays, pack_records, precision
from gpu.leaves import Base, Floats, Function, Program

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
    alike: dict[Instance, list[int]] = defaultdict(list)
    for index, program in enumerate(programs):
        alike[instance(program, dtype)].append(index)
    matrices: dict[int, Floats] = {}
    for kernel, indices in alike.items():
        computed = _together([programs[index] for index in indices], kernel, backend)
        matrices.update(zip(indices, computed, strict=True))
    return [matrices[index] for index in range(len(programs))]


def panels(program: Program, dtype: np.dtype[Any], rows: int, backend: Backend = CUDA) -> Iterator[Floats]:
    """The matrix as blocks of at most so many rows, in order; fewer once the device's memory does not suffice.

    Raises:
        MemoryError: a single row of tiles does not fit; says how many bytes it needs.
    """
    kernel = instance(program, dtype)
    arrays = pack_arrays([program], kernel.precision)
    on_device = _put(arrays, backend)
    (n, m), start = _shape(program), 0
    while start < n:
        stop = min(start + rows, n)
        try:
            (block,) = _launch([program], arrays, on_device, kernel, backend, (start, stop))
        except MemoryError:
            block = None
        if block is not None:
            yield block
            start = stop
        elif rows <= TILE:
            raise MemoryError(_shortage(f"{stop - start} rows of {m}", (stop - start) * m * dtype.itemsize))
        else:
            rows = max(TILE, rows // 2)


class Instance(NamedTuple):
    """An instance of a kernel template."""

    dtype: np.dtype[Any]
    """Of the result."""
    precision: np.dtype[Any]
    """Of the arithmetic."""
    leaf: tuple[Base, Function] | None
    """What the fused kernel computes; None for the interpreter of expressions."""

    @property
    def expression(self) -> str:
        """Its name in C++."""
        if self.leaf is None:
            return loader.expression("gram_program", self.dtype, self.precision)
        return loader.expression("gram_leaf", self.dtype, self.precision, *self.leaf)


def instance(program: Program, dtype: np.dtype[Any]) -> Instance:
    """The kernel that computes the program: a fused one for a single leaf, else the interpreter."""
    leaf = program.leaves[0]
    single = len(program.code) == 1
    return Instance(dtype, precision(program, dtype), (leaf.base, leaf.function) if single else None)


def _together(programs: Sequence[Program], kernel: Instance, backend: Backend) -> list[Floats]:
    try:
        arrays = pack_arrays(programs, kernel.precision)
        return _launch(programs, arrays, backend.put(arrays.buffer), kernel, backend)
    except MemoryError:
        pass  # and go on outside: the exception's traceback keeps the device arrays alive
    if len(programs) == 1:
        return [_by_panels(programs[0], kernel.dtype, backend)]
    middle = len(programs) // 2
    return [*_together(programs[:middle], kernel, backend), *_together(programs[middle:], kernel, backend)]


def _by_panels(program: Program, dtype: np.dtype[Any], backend: Backend) -> Floats:
    n, m = _shape(program)
    out = np.empty((n, m), dtype)
    start = 0
    for block in panels(program, dtype, max(TILE, n // 2), backend):
        out[start : start + len(block)] = block
        start += len(block)
    return out


def _launch(
    programs: Sequence[Program],
    arrays: Arrays,
    on_device: DeviceArray,
    kernel: Instance,
    backend: Backend,
    panel: tuple[int, int] | None = None,
) -> list[Floats]:
    records = pack_records(programs, arrays, panel)
    out = backend.empty(records.size, kernel.dtype)
    arguments = (backend.put(records.buffer), on_device, np.int64(len(programs)), out)
    backend.launch(FILE, kernel.expression, records.n_blocks, N_THREADS, arguments)
    return records.split(backend.get(out))


def _put(arrays: Arrays, backend: Backend) -> DeviceArray:
    try:
        return backend.put(arrays.buffer)
    except MemoryError:
        raise MemoryError(_shortage("the points", arrays.buffer.nbytes)) from None


def _shortage(what: str, n_bytes: int) -> str:
    return f"expected {n_bytes} bytes of free device memory for {what}, got less"


def _shape(program: Program) -> tuple[int, int]:
    return len(program.leaves[0].u), len(program.leaves[0].v)
