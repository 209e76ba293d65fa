"""The thread that keeps a worker's lease, hears of cancellations and looks after the dead, while computing goes on."""

from __future__ import annotations

import logging
import random
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Self

from broker.worker_broker import WorkerBroker
from mercer.errors import Unavailable
from workers.metrics import Metrics
from workers.watch import Watch

MAX_INTERVAL_S = 0.5
"""A running job hears of its cancellation within this time."""

BEATS_PER_LEASE = 10
SWEEPS_PER_LEASE = 8
"""With the time between two beats, a dead worker's jobs are found within a quarter of a lease after it ran out."""

log = logging.getLogger(__name__)


class Heartbeat:
    """Renews the lease that is being worked on, tells the service that the worker lives, sweeps expired leases.

    Args:
        broker: Used from this thread as well as from the worker's.
        worker: Its name in the job records.
        device: Its device in the job records.
        lease_s: The broker's.
        metrics: Count the jobs that were taken back.
    """

    def __init__(self, broker: WorkerBroker, *, worker: str, device: str, lease_s: float, metrics: Metrics) -> None:
        self._broker = broker
        self._worker = worker
        self._device = device
        self._metrics = metrics
        self._interval_s = min(lease_s / BEATS_PER_LEASE, MAX_INTERVAL_S)
        self._sweep_interval_s = lease_s / SWEEPS_PER_LEASE
        self._next_sweep_s = 0.0
        self._running = 0
        self._done = 0
        self._watch: Watch | None = None
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._beat_until_stopped, name="heartbeat", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stopped.set()
        self._thread.join()

    @contextmanager
    def watching(self, lease: str, n_jobs: int) -> Iterator[Watch]:
        """Keep this lease inside the block."""
        self._watch, self._running = (watch := Watch(lease)), n_jobs
        try:
            yield watch
        finally:
            self._watch, self._running = None, 0
            self._done += n_jobs

    def _beat_until_stopped(self) -> None:
        while True:
            try:
                self._beat()
            except Unavailable as error:
                log.warning("no heartbeat: %s", error.detail)
            except Exception:
                log.exception("the heartbeat failed")
            if self._stopped.wait(self._interval_s):
                return

    def _beat(self) -> None:
        if (watch := self._watch) is not None:
            renewal = self._broker.renew(watch.lease)
            watch.cancelled |= renewal.cancelled
            watch.lost = not renewal.held
        self._broker.announce(self._worker, self._device, running=self._running, jobs_done=self._done)
        if (now := time.monotonic()) >= self._next_sweep_s:
            # Not all workers at once.
            self._next_sweep_s = now + self._sweep_interval_s * random.uniform(0.5, 1.0)
            for job_id in self._broker.sweep():
                self._metrics.taken_back.inc()
                log.warning("job %s is queued again: its worker is gone", job_id)
