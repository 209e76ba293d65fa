"""What is known of a lease while its batch runs, and how a running job learns of it."""

from __future__ import annotations

import logging
import time

from broker.worker_broker import WorkerBroker
from gpu.task import Cancelled
from mercer.errors import Unavailable
from workers.drain import Drain

REPORT_INTERVAL_S = 0.1
"""Progress is for a person's eyes; every report costs Redis 50 us."""

log = logging.getLogger(__name__)


class Abandoned(BaseException):
    """The batch is not ours to finish any more; no `except Exception` of an operation may swallow this."""


class LeaseLost(Abandoned):
    """The lease ran out: another worker may have the jobs."""


class GivenBack(Abandoned):
    """The worker ends and the batch has had its grace: its jobs go back to the queue."""


class Watch:
    """What the heartbeat has learned of one lease. Written by its thread, read by the worker's."""

    def __init__(self, lease: str) -> None:
        self.lease = lease
        self.cancelled: frozenset[str] = frozenset()
        """The ids of its jobs that were cancelled."""
        self.lost = False


class Report:
    """Called by an operation between tiles: sends the progress, and stops a job that should not go on."""

    __slots__ = ("_broker", "_drain", "_due_s", "_job_id", "_watch")

    def __init__(self, broker: WorkerBroker, watch: Watch, drain: Drain, job_id: str) -> None:
        self._broker = broker
        self._watch = watch
        self._drain = drain
        self._job_id = job_id
        self._due_s = time.monotonic() + REPORT_INTERVAL_S

    def __call__(self, fraction: float) -> None:
        """Tell the progress, from 0 to 1.

        Raises:
            Cancelled: the job was cancelled.
            Abandoned: the whole batch is to be left.
        """
        if self._watch.lost:
            raise LeaseLost(self._watch.lease)
        if self._drain.over:
            raise GivenBack(self._watch.lease)
        if self._job_id in self._watch.cancelled:
            raise Cancelled
        if (now := time.monotonic()) >= self._due_s:
            self._due_s = now + REPORT_INTERVAL_S
            self._send(fraction)

    def _send(self, fraction: float) -> None:
        try:
            self._broker.progress(self._watch.lease, self._job_id, fraction)
        except Unavailable as error:
            log.warning("progress of %s was not told: %s", self._job_id, error.detail)
