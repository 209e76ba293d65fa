"""Memory that a thread uses again for every piece of work: fresh pages cost a part of what is computed in them."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from queue import SimpleQueue
from typing import Any

import numpy as np

from gpu.device import Device
from gpu.leaves import Floats

ALIGNMENT = 64
"""Bytes; of a cache line and of the widest vectors."""


class Workspace:
    """One thread's memory, given out piece by piece until it is cleared."""

    def __init__(self, memory: Floats) -> None:
        self._memory = memory
        self._used = 0

    def take(self, shape: tuple[int, ...], dtype: np.dtype[Any]) -> Floats:
        """An array, not initialised; in fresh memory where the workspace is full."""
        n_bytes = math.prod(shape) * dtype.itemsize
        start = self._used
        if start + n_bytes > len(self._memory):
            return np.empty(shape, dtype)
        self._used += -(-n_bytes // ALIGNMENT) * ALIGNMENT
        return self._memory[start : start + n_bytes].view(dtype).reshape(shape)

    @contextmanager
    def piece(self) -> Iterator[Workspace]:
        """What is taken within is free again afterwards."""
        used = self._used
        try:
            yield self
        finally:
            self._used = used


class Workspaces:
    """One for each thread of a device."""

    def __init__(self, device: Device, n_bytes: int) -> None:
        self._free: SimpleQueue[Workspace] = SimpleQueue()
        for _ in range(device.n_threads):
            self._free.put(Workspace(device.buffers.take(n_bytes, np.dtype(np.uint8))))

    @contextmanager
    def one(self) -> Iterator[Workspace]:
        """For the calling thread alone."""
        workspace = self._free.get()
        try:
            with workspace.piece():
                yield workspace
        finally:
            self._free.put(workspace)
