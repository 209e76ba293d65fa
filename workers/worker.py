"""The worker's loop: claim, load, run, store, finish."""

from __future__ import annotations

import logging
import time
from contextlib import AbstractContextManager, nullcontext
from functools import partial

from broker.records import Claim, Finished
from broker.worker_broker import WorkerBroker
from mercer.errors import Unavailable
from telemetry.tracing import Delivery, Tracing
from workers.batch import Batch, Bench
from workers.drain import Drain
from workers.heartbeat import Heartbeat
from workers.leases import HeldLease
from workers.metrics import Metrics
from workers.patience import patiently
from workers.watch import GivenBack, LeaseLost, Report

BLOCK_MS = 500
"""How long a claim waits for work; a worker without work hears of its end within this time."""

EXPIRY_INTERVAL_S = 600.0
"""Looking for expired results lists every one of them."""

EXPIRY_MARGIN_S = 3_600
"""A result is written before its record begins to live, by as long as Redis was away in between."""

log = logging.getLogger(__name__)


class Worker:
    """Takes batches until it is drained.

    Args:
        broker: Where the jobs are.
        bench: What runs them.
        heartbeat: Keeps the lease meanwhile.
        drain: Says when to end.
        held: Is told the lease before anything is claimed under it.
        metrics: Count what happens.
        tracing: Traces the batches, if anything does.
        name: As the job records show it.
        batch_jobs: Most jobs in one batch.
        batch_bytes: Most bytes that they may need together; a larger job runs alone.
        result_ttl_s: How long a finished job's record is kept.
    """

    def __init__(
        self,
        broker: WorkerBroker,
        bench: Bench,
        heartbeat: Heartbeat,
        drain: Drain,
        held: HeldLease,
        metrics: Metrics,
        tracing: Tracing | None,
        *,
        name: str,
        batch_jobs: int,
        batch_bytes: int,
        result_ttl_s: int,
    ) -> None:
        self._broker = broker
        self._bench = bench
        self._heartbeat = heartbeat
        self._drain = drain
        self._held = held
        self._metrics = metrics
        self._tracing = tracing
        self._name = name
        self._batch_jobs = batch_jobs
        self._batch_bytes = batch_bytes
        self._result_ttl_s = result_ttl_s
        self._next_expiry_s = 0.0

    def run(self) -> None:
        """Until the drain begins."""
        while not self._drain.begun:
            if (claim := self._claim()) is not None:
                self._work(claim)
            self._expire()

    def _work(self, claim: Claim) -> None:
        ids = [job.id for job in claim.jobs]
        self._metrics.claimed(claim)
        with self._heartbeat.watching(claim.lease, len(ids)) as watch, self._traced(claim):
            batch = Batch(self._bench, watch, partial(Report, self._broker, watch, self._drain))
            try:
                self._finish(claim, batch.run(claim.jobs))
            except LeaseLost:
                self._metrics.leases_lost.inc()
                log.warning("lease %s was lost: its %d jobs are left to another worker", claim.lease, len(ids))
            except GivenBack:
                self._release(claim.lease, ids)

    def _traced(self, claim: Claim) -> AbstractContextManager[None]:
        if self._tracing is None:
            return nullcontext()
        jobs = [Delivery(job.id, job.attempt, job.traceparent) for job in claim.jobs]
        return self._tracing.processing(claim.jobs[0].kind, jobs)

    def _claim(self) -> Claim | None:
        claim = partial(
            self._broker.claim,
            self._name,
            self._bench.device.name,
            max_jobs=self._batch_jobs,
            max_bytes=self._batch_bytes,
            block_ms=BLOCK_MS,
            lease=self._held.fresh(),
        )
        return patiently(claim, until=lambda: self._drain.begun)

    def _finish(self, claim: Claim, finished: list[Finished]) -> None:
        # What was computed is kept until Redis is back: the lease decides then whether it still counts.
        accepted = patiently(partial(self._broker.finish, claim.lease, finished), until=lambda: self._drain.over)
        if accepted is None:
            log.warning("lease %s was not finished and will expire: Redis is away", claim.lease)
            return
        self._metrics.finished(claim.jobs[0].kind, finished, accepted)
        if refused := len(finished) - len(accepted):
            log.warning("%d of %d outcomes of lease %s were refused", refused, len(finished), claim.lease)

    def _release(self, lease: str, ids: list[str]) -> None:
        try:
            self._metrics.given_back.inc(len(self._broker.release(lease, ids)))
        except Unavailable as error:
            log.warning("lease %s was not given back and will expire: %s", lease, error.detail)

    def _expire(self) -> None:
        """Delete results whose records have passed their time to live, now and then."""
        if (now := time.monotonic()) >= self._next_expiry_s:
            self._next_expiry_s = now + EXPIRY_INTERVAL_S
            try:
                self._bench.results.expire(self._result_ttl_s + EXPIRY_MARGIN_S)
            except Unavailable as error:
                log.warning("expired results are left for later: %s", error.detail)
