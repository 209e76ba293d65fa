"""Which device this process computes on, and the memory it keeps for results."""

from __future__ import annotations

import os
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np
from threadpoolctl import ThreadpoolController

KEPT_BYTES = 256 * 2**20
"""In all; what is larger is given back: the memory is better used by the next job's points."""

ONLY_KEPT = 3
"""References to a kept array that nobody uses: the list's, the loop's, and getrefcount's own."""


class Buffers:
    """Memory for results that is used again once nobody refers to it: fresh pages cost more than the computing."""

    def __init__(self) -> None:
        self._kept: list[np.ndarray[Any, Any]] = []

    def take(self, size: int, dtype: np.dtype[Any]) -> np.ndarray[Any, Any]:
        """A one-dimensional array, not initialised. It stays the caller's for as long as any view of it lives."""
        n_bytes = size * dtype.itemsize
        for kept in self._kept:
            if n_bytes <= kept.nbytes and sys.getrefcount(kept) == ONLY_KEPT:
                return kept[:n_bytes].view(dtype)
        fresh = np.empty(n_bytes, np.uint8)
        self._kept = [kept for kept in self._kept if sys.getrefcount(kept) > ONLY_KEPT]
        if sum(kept.nbytes for kept in self._kept) + n_bytes <= KEPT_BYTES:
            self._kept.append(fresh)
        return fresh[:].view(dtype)

    def drop(self) -> bool:
        """Give all of it back, where nobody uses it; whether there was any."""
        kept, self._kept = self._kept, []
        return bool(kept)


class Memory(NamedTuple):
    """Of a device, in bytes."""

    free: int
    total: int


@dataclass(frozen=True)
class Device:
    """`cpu`, or `cuda:0`, with what its operations keep between jobs."""

    name: str
    buffers: Buffers = field(default_factory=Buffers, compare=False, repr=False)

    @cached_property
    def threads(self) -> ThreadPoolExecutor:
        """One thread for each core that this process may use."""
        return ThreadPoolExecutor(self.n_threads, thread_name_prefix="gpu")

    @cached_property
    def blas(self) -> ThreadpoolController:
        """The thread pools of the BLAS libraries that this process has loaded."""
        return ThreadpoolController()

    @property
    def n_threads(self) -> int:
        """Cores that this process may use."""
        return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1

    @property
    def is_cuda(self) -> bool:
        """Whether it is a CUDA device."""
        return self.name.startswith("cuda")

    def memory(self) -> Memory | None:
        """What the CUDA driver says, for all processes on the device; None on a CPU."""
        if not self.is_cuda:
            return None
        import cupy  # an optional dependency, and slow to import

        with cupy.cuda.Device(int(self.name.partition(":")[2])):
            return Memory(*cupy.cuda.runtime.memGetInfo())


def pick() -> Device:
    """The first CUDA device where there is one, else the CPU."""
    return Device("cuda:0" if _cuda_available() else "cpu")


def _cuda_available() -> bool:
    try:
        import cupy  # an optional dependency, and slow to import
    except ImportError:
        return False
    return bool(cupy.cuda.is_available())
