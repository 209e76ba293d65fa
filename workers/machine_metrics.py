"""The memory of the device and the bytes in the store, looked at when somebody asks."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable

from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from gpu.device import Device
from mercer.errors import Unavailable

STORE_INTERVAL_S = 600.0
"""Every object is listed for it."""


class MachineCollector(Collector):
    """Looks at the device for each scrape, at the store now and then.

    Args:
        device: Whose memory is shown; a CPU has none of its own.
        store_bytes: The bytes of the store by part, such as `results`.
    """

    def __init__(self, device: Device, store_bytes: Callable[[], dict[str, int]]) -> None:
        self._device = device
        self._store_bytes = store_bytes
        self._lock = threading.Lock()
        self._due_s = 0.0
        self._parts: dict[str, int] = {}

    def describe(self) -> Iterable[Metric]:
        """Without looking, so that a worker starts at once."""
        return ()

    def collect(self) -> Iterable[Metric]:
        """All families, those without a value too."""
        memory = GaugeMetricFamily(
            "mercer_device_memory_bytes", "Memory of the CUDA device.", labels=["device", "state"]
        )
        if (seen := self._device.memory()) is not None:
            memory.add_metric([self._device.name, "free"], seen.free)
            memory.add_metric([self._device.name, "total"], seen.total)
        store = GaugeMetricFamily("mercer_store_bytes", "Bytes of the objects in the store.", labels=["part"])
        for part, size in self._store().items():
            store.add_metric([part], size)
        return memory, store

    def _store(self) -> dict[str, int]:
        with self._lock:
            if (now := time.monotonic()) >= self._due_s:
                self._due_s = now + STORE_INTERVAL_S
                try:
                    self._parts = self._store_bytes()
                except Unavailable:
                    self._parts = {}
            return self._parts
