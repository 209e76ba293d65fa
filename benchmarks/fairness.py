"""How long jobs wait while others fill the queue: a second tenant, and each priority; and what a claim costs then.

python -m benchmarks.fairness [--save]
"""

import argparse
import asyncio
import tempfile
import threading
import time
import uuid
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import redis

from benchmarks.report import save, table
from broker.records import Finished, Record, Submission
from broker.service_broker import ServiceBroker
from broker.worker_broker import WorkerBroker
from deploy.valkey import Valkey
from mercer.jobs import Priority, State

COMPUTE_S = 0.05
"""What the only worker computes on a batch of 64; its claim and its finish are added to the time of a batch."""

MANY = 10_000
FEW = 10
VISITS = 20
"""How often the second tenant, or a high job, comes."""

TENANTS, KEYS = 300, 10
CLAIMS = 500


def submissions(number: int, **fields: Any) -> list[Submission]:
    """Small jobs."""
    made = {"kind": "gram", "batch_key": "gram:a", "spec": b"{}", "fingerprint": "0", "flops": 10**5, "bytes": 10**4}
    return [Submission(**{"id": uuid.uuid4().hex, **made, **fields}) for _ in range(number)]


class Worker:
    """Takes one batch after another, each for the same time, and notes whose they were."""

    def __init__(self, broker: WorkerBroker) -> None:
        self._broker = broker
        self._ended = False
        self.batches: list[tuple[str, str]] = []
        """Tenant and batch key of each."""
        self._times_s: list[float] = []

    @property
    def batch_ms(self) -> float:
        """What a batch takes, from one claim to the next."""
        return 1e3 * float(np.median(self._times_s))

    def run(self) -> None:
        """Until it is ended."""
        while not self._ended:
            begun = time.perf_counter()
            if claim := self._broker.claim("w", "cpu", block_ms=100):
                time.sleep(COMPUTE_S)
                self.batches.append((claim.jobs[0].tenant, claim.batch_key))
                made = {"state": State.SUCCEEDED, "result": b"{}", "device": "cpu", "batch_size": len(claim.jobs)}
                self._broker.finish(claim.lease, [Finished(id=job.id, **made) for job in claim.jobs])
                self._times_s.append(time.perf_counter() - begun)

    @contextmanager
    def running(self) -> Iterator["Worker"]:
        """In a thread."""
        thread = threading.Thread(target=self.run)
        thread.start()
        try:
            yield self
        finally:
            self._ended = True
            thread.join()


async def admit(service: ServiceBroker, jobs: list[Submission]) -> list[str]:
    """Queue them, 500 in a call."""
    for start in range(0, len(jobs), 500):
        await service.admit(jobs[start : start + 500])
    return [job.id for job in jobs]


async def ended(service: ServiceBroker, ids: list[str], tenant: str) -> list[Record]:
    """Their records, once all have ended."""
    left = set(ids)
    while left:
        left -= await service.wait(list(left), 10, tenant)
    return [record for record in await service.records(ids, tenant) if record is not None]


def waits(records: list[Record]) -> list[int]:
    """From admission to start, in milliseconds."""
    return [record.started_ms - record.created_ms for record in records if record.started_ms]


def summary(waits_ms: list[int], worker: Worker) -> dict[str, float]:
    """In batch times."""
    quantiles = {"p50": 0.5, "p95": 0.95, "p99": 0.99}
    return {name: float(np.quantile(waits_ms, part)) / worker.batch_ms for name, part in quantiles.items()}


async def second_tenant(service: ServiceBroker, worker: Worker) -> dict[str, Any]:
    """A queues 10,000 jobs, then B comes again and again with 10."""
    await admit(service, submissions(MANY, tenant="a"))
    found: list[int] = []
    with worker.running():
        for _ in range(VISITS // 2):
            await asyncio.sleep(0.03)
            ids = await admit(service, submissions(FEW, tenant="b"))
            found += waits(await ended(service, ids, "b"))
        left = (await service.queue_depth()).queued
    return {"batch_ms": worker.batch_ms, "waits_of_b": summary(found, worker), "jobs_of_a_still_queued": left}


async def priorities(service: ServiceBroker, worker: Worker) -> dict[str, Any]:
    """Normal and low jobs fill the queue, and now and then a high one comes; then high ones fill it too."""
    for priority in (Priority.NORMAL, Priority.LOW):
        await admit(service, submissions(MANY, priority=priority, batch_key=priority))
    found: list[int] = []
    with worker.running():
        for _ in range(2 * VISITS):
            await asyncio.sleep(0.03)
            ids = await admit(service, submissions(1, priority=Priority.HIGH, batch_key=Priority.HIGH))
            found += waits(await ended(service, ids, "default"))
        await admit(service, submissions(MANY, priority=Priority.HIGH, batch_key=Priority.HIGH))
        before = len(worker.batches)
        while len(worker.batches) < before + 100:
            await asyncio.sleep(0.05)
    served = Counter(batch_key for _, batch_key in worker.batches[before : before + 100])
    return {"batch_ms": worker.batch_ms, "waits_of_high": summary(found, worker), "batches_in_100": dict(served)}


async def claims(service: ServiceBroker, broker: WorkerBroker, url: str, tenants: int, keys: int) -> float:
    """Microseconds of the server for a claim of one job among so many tenants and batch keys."""
    jobs = [
        submission
        for tenant in range(tenants)
        for key in range(keys)
        for submission in submissions(max(2, 2 * CLAIMS // (tenants * keys)), tenant=f"t{tenant}", batch_key=f"k{key}")
    ]
    await admit(service, jobs)
    with redis.Redis.from_url(url) as server:
        before = server.info("commandstats")["cmdstat_evalsha"]["usec"]
        for _ in range(CLAIMS):
            assert broker.claim("w", "cpu", max_jobs=1, block_ms=0)
        return float(server.info("commandstats")["cmdstat_evalsha"]["usec"] - before) / CLAIMS


async def measure(url: str) -> dict[str, Any]:
    """All of it."""
    figures: dict[str, Any] = {"compute_ms": 1e3 * COMPUTE_S}
    for name, scene in (("tenants", second_tenant), ("priorities", priorities)):
        service, broker = connected(url, name)
        figures[name] = await scene(service, Worker(broker))
        await service.close()
    for tenants, keys in ((1, 1), (TENANTS, KEYS)):
        service, broker = connected(url, f"claims-{tenants}")
        figures[f"claim_us, {tenants * keys} queues"] = await claims(service, broker, url, tenants, keys)
        await service.close()
    return figures


def connected(url: str, namespace: str) -> tuple[ServiceBroker, WorkerBroker]:
    """Both sides of a queue of its own."""
    return ServiceBroker.connect(url, namespace=namespace), WorkerBroker.connect(url, namespace=namespace, linger_ms=0)


def main() -> None:
    """Measure, print and save."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--save", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, Valkey(Path(folder)) as valkey:
        figures = asyncio.run(measure(valkey.url))
    b, high = figures["tenants"]["waits_of_b"], figures["priorities"]["waits_of_high"]
    rows = [
        ["10 jobs of tenant B behind 10,000 of A", *b.values()],
        ["a high job behind normal and low ones", *high.values()],
    ]
    print(table(["wait, in batch times", "p50", "p95", "p99"], rows))
    print("of 100 batches, when all priorities wait:", figures["priorities"]["batches_in_100"])
    for name in (f"claim_us, {n} queues" for n in (1, TENANTS * KEYS)):
        print(f"{name}: {figures[name]:.0f}")
    if options.save:
        print(save("fairness", figures))


if __name__ == "__main__":
    main()
