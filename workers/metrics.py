"""Prometheus metrics of one worker process; no job ids, batch keys or tenants in labels."""

from __future__ import annotations

from collections import Counter as Tally
from collections.abc import Callable, Collection, Sequence
from functools import lru_cache
from typing import TypeVar
from wsgiref.simple_server import WSGIServer

from prometheus_client import Counter, Histogram, start_http_server

from broker.records import Claim, Finished
from gpu.device import Device
from telemetry.process import registry
from workers.crashes import Crashes
from workers.machine_metrics import MachineCollector

WAITS_S = (0.001, 0.005, 0.025, 0.1, 0.5, 1, 5, 15, 60, 300, 900, 3_600)
"""From an idle queue to one that needs more workers."""

COMPUTING_S = (0.0001, 0.001, 0.005, 0.025, 0.1, 0.5, 1, 5, 15, 60, 300, 1_800)
"""From a launch of tiny jobs to one job of many panels."""

LINGERS_S = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.05)
JOBS = (1, 2, 4, 8, 16, 32, 64, 128, 256)


Labelled = TypeVar("Labelled", Counter, Histogram)


class Metrics:
    """What /metrics shows of a worker; observed once for each batch, as a job may take only microseconds.

    Args:
        device: Whose memory is shown.
        store_bytes: The bytes of the store by part, such as `results`.
    """

    def __init__(self, device: Device, store_bytes: Callable[[], dict[str, int]]) -> None:
        self.registry = made = registry("worker")
        made.register(MachineCollector(device, store_bytes))
        self._sizes = Histogram(
            "mercer_batch_size_jobs", "Jobs that were claimed together.", registry=made, buckets=JOBS
        )
        self._lingers = Histogram(
            "mercer_batch_linger_seconds",
            "How long a claim waited for its batch to fill.",
            registry=made,
            buckets=LINGERS_S,
        )
        waits = Histogram(
            "mercer_batch_queue_wait_seconds",
            "From admission to claim of a batch's oldest job on its first delivery, lingering included.",
            ["kind"],
            registry=made,
            buckets=WAITS_S,
        )
        computing = Histogram(
            "mercer_batch_compute_seconds", "Computing of one batch.", ["kind"], registry=made, buckets=COMPUTING_S
        )
        transfers = Histogram(
            "mercer_batch_transfer_seconds",
            "Reading the arrays and storing the results of one batch.",
            ["kind"],
            registry=made,
            buckets=COMPUTING_S,
        )
        deliveries = Counter(
            "mercer_job_deliveries", "Jobs claimed, for the first time or again.", ["attempt"], registry=made
        )
        self._first, self._again = deliveries.labels("first"), deliveries.labels("again")
        finished = Counter("mercer_jobs_finished", "Outcomes accepted.", ["kind", "outcome"], registry=made)
        self._refused = Counter(
            "mercer_outcomes_refused", "Outcomes refused by the fence: the lease was lost.", registry=made
        )
        self.leases_lost = Counter("mercer_leases_lost", "Batches left because the lease ran out.", registry=made)
        self.given_back = Counter("mercer_jobs_given_back", "Jobs given back by a worker that ends.", registry=made)
        self.taken_back = Counter(
            "mercer_jobs_taken_back", "Jobs of dead workers that this one queued again.", registry=made
        )
        self._crashes = Counter(
            "mercer_worker_crashes",
            "Processes of this worker that died of a signal or an exit().",
            ["cause"],
            registry=made,
        )
        self._quarantined = Counter(
            "mercer_jobs_quarantined", "Jobs given up because each process that ran them died.", registry=made
        )
        # Looking a label set up costs more than observing it.
        self._waits, self._computing, self._transfers = map(_series, (waits, computing, transfers))
        self._finished = _series(finished)

    def follow(self, crashes: Crashes) -> None:
        """Show what killed the processes before this one."""
        for name, number in crashes.causes.items():
            self._crashes.labels(name).inc(number)
        self._quarantined.inc(crashes.quarantined)

    def claimed(self, claim: Claim) -> None:
        """A batch was claimed."""
        jobs = claim.jobs
        self._sizes.observe(len(jobs))
        self._lingers.observe(claim.lingered_s)
        first = [job.created_ms for job in jobs if job.attempt == 1]
        self._first.inc(len(first))
        self._again.inc(len(jobs) - len(first))
        if first:
            self._waits(jobs[0].kind).observe((claim.claimed_ms - min(first)) / 1000)

    def finished(self, kind: str, outcomes: Sequence[Finished], accepted: Collection[str]) -> None:
        """A batch of one kind has ended, and Redis accepted these of its outcomes."""
        for state, number in Tally(one.state for one in outcomes if one.id in accepted).items():
            self._finished(kind, state).inc(number)
        self._refused.inc(len(outcomes) - len(accepted))
        # Each outcome has the times of its batch so far: the longest are those of all of it.
        self._computing(kind).observe(max(one.timings["compute_ms"] for one in outcomes) / 1000)
        self._transfers(kind).observe(max(one.timings["transfer_ms"] for one in outcomes) / 1000)

    def serve(self, host: str, port: int) -> WSGIServer:
        """Answer GET /metrics from a thread of its own."""
        server, _ = start_http_server(port, host, self.registry)
        return server


def _series(metric: Labelled) -> Callable[..., Labelled]:
    labels: Callable[..., Labelled] = metric.labels
    return lru_cache(maxsize=1_000)(labels)
