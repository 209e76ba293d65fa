"""How full the queue and the store are, as /metrics shows it: what is not known is left out, never shown stale."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from broker.limits import Memory
from broker.records import Depth


class Seen(NamedTuple):
    """One look at the queue."""

    depth: Depth
    workers: int
    writes: bool
    """Whether the append-only file is written and fsynced."""
    memory: Memory | None
    """None until it was looked at."""


class Room(NamedTuple):
    """The disk under the store, in bytes."""

    free: int
    size: int


class QueueCollector(Collector):
    """Shows what was seen last, once for each process: take max() over the processes, not sum().

    Args:
        max_queued: How many jobs may wait.
    """

    def __init__(self, max_queued: int) -> None:
        self._max_queued = max_queued
        self.seen: Seen | None = None
        """None while Redis does not answer."""
        self.room: Room | None = None
        """None where the store is no folder."""

    def collect(self) -> Iterable[Metric]:
        """All families, those without a value too."""
        yield from self._queue()
        yield from self._room()

    def _queue(self) -> Iterator[Metric]:
        up = 0 if self.seen is None else 1
        yield GaugeMetricFamily(
            "mercer_queue_up", "Whether Redis answers; the queue's other metrics need it.", value=up
        )
        yield GaugeMetricFamily("mercer_queue_limit_jobs", "Jobs that may wait.", value=self._max_queued)
        depth = GaugeMetricFamily("mercer_queue_depth_jobs", "Jobs that wait, and that workers hold.", labels=["state"])
        waiting = GaugeMetricFamily("mercer_queue_waiting_jobs", "Jobs that wait, by priority.", labels=["priority"])
        oldest = GaugeMetricFamily("mercer_queue_oldest_age_seconds", "For how long the oldest job has waited.")
        dead = CounterMetricFamily("mercer_jobs_dead", "Jobs given up because their workers died.")
        expired = CounterMetricFamily("mercer_jobs_expired", "Jobs stopped at their deadline, running or not.")
        workers = GaugeMetricFamily("mercer_workers", "Workers that are alive.")
        memory = GaugeMetricFamily(
            "mercer_queue_memory_bytes", "Memory of Redis, and its maxmemory; 0 is none.", labels=["state"]
        )
        file = GaugeMetricFamily("mercer_aof_ok", "Whether Redis writes and fsyncs its append-only file.")
        if self.seen is not None:
            file.add_metric([], int(self.seen.writes))
            depth.add_metric(["queued"], self.seen.depth.queued)
            for priority, number in self.seen.depth.waiting.items():
                waiting.add_metric([priority], number)
            depth.add_metric(["running"], self.seen.depth.running)
            oldest.add_metric([], self.seen.depth.oldest_ms / 1000)
            dead.add_metric([], self.seen.depth.dead)
            expired.add_metric([], self.seen.depth.expired)
            workers.add_metric([], self.seen.workers)
            if self.seen.memory is not None:
                memory.add_metric(["used"], self.seen.memory.used)
                memory.add_metric(["limit"], self.seen.memory.limit)
        yield from (depth, waiting, oldest, dead, expired, workers, memory, file)

    def _room(self) -> Iterator[Metric]:
        free = GaugeMetricFamily("mercer_store_free_bytes", "Free bytes of the disk under the store.")
        size = GaugeMetricFamily("mercer_store_size_bytes", "All bytes of the disk under the store.")
        if self.room is not None:
            free.add_metric([], self.room.free)
            size.add_metric([], self.room.size)
        yield from (free, size)
