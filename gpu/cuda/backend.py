"""Where kernels run: CuPy's device, or the tests' emulator. The only seam between packing and the machine."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np

from gpu.cuda import loader

DeviceArray = Any
"""Has dtype, size and flags.c_contiguous as a NumPy array has; its data is on the device."""


class Backend(Protocol):
    """A device with its memory. Running out of it raises MemoryError."""

    def put(self, array: np.ndarray[Any, Any]) -> DeviceArray:
        """Copies a host array to the device."""

    def empty(self, size: int, dtype: np.dtype[Any]) -> DeviceArray:
        """An uninitialised array of one dimension on the device."""

    def get(self, array: DeviceArray) -> np.ndarray[Any, Any]:
        """Copies a device array to the host."""

    def free(self) -> int:
        """Bytes of memory that nobody holds."""

    def sort(self, keys: DeviceArray) -> None:
        """Sorts uint64 keys in place; the array has one dimension."""

    def argsort(self, keys: DeviceArray) -> DeviceArray:
        """The order of uint64 keys, as int64; equal ones stay in theirs."""

    def launch(self, file: str, expression: str, n_blocks: int, n_threads: int, arguments: Sequence[Any]) -> None:
        """Runs a kernel instance of a .cu file."""


class CudaDevice:
    """The current CUDA device, by CuPy."""

    def put(self, array: np.ndarray[Any, Any]) -> DeviceArray:
        """Copies a host array to the device."""
        import cupy  # takes half a second, and only a worker with a device needs it

        return cupy.asarray(array)

    def empty(self, size: int, dtype: np.dtype[Any]) -> DeviceArray:
        """An uninitialised array of one dimension on the device."""
        import cupy

        return cupy.empty(size, dtype)

    def get(self, array: DeviceArray) -> np.ndarray[Any, Any]:
        """Copies a device array into pinned host memory, several times as fast as into pageable."""
        import cupy

        memory = cupy.cuda.alloc_pinned_memory(array.nbytes)
        out = np.frombuffer(memory, array.dtype, array.size)
        array.get(out=out)
        return out

    def free(self) -> int:
        """Bytes of memory that nobody holds, in the pool or outside of it."""
        import cupy

        return int(cupy.cuda.runtime.memGetInfo()[0] + cupy.get_default_memory_pool().free_bytes())

    def sort(self, keys: DeviceArray) -> None:
        """Sorts uint64 keys in place, by radix sort: CuPy takes a slower one for arrays of more dimensions."""
        keys.sort()

    def argsort(self, keys: DeviceArray) -> DeviceArray:
        """The order of uint64 keys, as int64, by radix sort; equal ones stay in theirs."""
        return keys.argsort()

    def launch(self, file: str, expression: str, n_blocks: int, n_threads: int, arguments: Sequence[Any]) -> None:
        """Runs a kernel instance of a .cu file, after checking the arguments, which CuPy does not."""
        loader.check(loader.signature(file, expression), arguments)
        loader.kernel(file, expression)((n_blocks,), (n_threads,), tuple(arguments))
