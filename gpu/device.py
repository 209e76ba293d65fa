"""Which device this process computes on, and the memory it keeps for results."""

from __future__ import annotations

import os
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, NamedTuple

import numpy as np

KEPT_BYTES = 256 * 2**20
"""A larger buffer is given back: the memory is better used by the next job's points."""


class Buffer:
    """Memory for results that is used again once nobody refers to it: fresh pages cost more than the computing."""

    def __init__(self) -> None:
        self._kept = np.empty(0, np.uint8)

    def take(self, size: int, dtype: np.dtype[Any]) -> np.ndarray[Any, Any]:
        """A one-dimensional array, not initialised. It stays the caller's for as long as any view of it lives."""
        n_bytes = size * dtype.itemsize
        free = sys.getrefcount(self._kept) == 2  # this attribute and getrefcount's own argument
        if free and self._kept.nbytes >= n_bytes:
            return self._kept[:n_bytes].view(dtype)
        fresh = np.empty(n_bytes, np.uint8)
        if free and n_bytes <= KEPT_BYTES:
            self._kept = fresh
        return fresh[:].view(dtype)


class Memory(NamedTuple):
    """Of a device, in bytes."""

    free: int
    total: int


@dataclass(frozen=True)
class Device:
    """`cpu`, or `cuda:0`, with what its operations keep between jobs."""

    name: str
    buffer: Buffer = field(default_factory=Buffer, compare=False, repr=False)

    @cached_property
    def threads(self) -> ThreadPoolExecutor:
        """One thread for each core that this process may use."""
        return ThreadPoolExecutor(self.n_threads, thread_name_prefix="gpu")

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
