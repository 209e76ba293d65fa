"""What the queue costs: CPU of the server and of both clients per job, through admit, claim, finish and records.

python -m benchmarks.broker [--jobs 6400] [--save]
"""

import argparse
import asyncio
import json
import tempfile
import time
import uuid
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path

import psutil

from benchmarks.report import save, table
from broker.records import Finished, Submission
from broker.service_broker import ServiceBroker
from broker.worker_broker import WorkerBroker
from deploy.valkey import Valkey
from mercer.jobs import State

SUBMITTED_AT_ONCE = 64
BATCHES = (1, 16, 64)
SPEC = json.dumps({"kind": "gram", "kernel": {"family": "gaussian"}, "x": {"dataset": "sha256:" + "0" * 64}}).encode()
RESULT = json.dumps({"shape": [50, 50], "dtype": "float64", "size_bytes": 20128, "object": "results/0" * 4}).encode()

Costs = defaultdict[str, list[float]]


class Meter:
    """CPU seconds of this process and of the server, by transition."""

    def __init__(self, server_pid: int) -> None:
        self._server = psutil.Process(server_pid)
        self.costs: Costs = defaultdict(lambda: [0.0, 0.0])

    @contextmanager
    def __call__(self, name: str) -> Iterator[None]:
        """Charge what runs within to a transition."""
        client, server = time.process_time(), self._server_s()
        yield
        self.costs[name][0] += time.process_time() - client
        self.costs[name][1] += self._server_s() - server

    def _server_s(self) -> float:
        return sum(self._server.cpu_times()[:2])


def submissions(number: int) -> list[Submission]:
    """Small jobs of one batch key, each with an idempotency key, as the service makes them."""
    ids = [uuid.uuid4().hex for _ in range(number)]
    made = {"kind": "gram", "batch_key": "gram:float64:small:gaussian", "spec": SPEC, "fingerprint": "0" * 64}
    return [Submission(id=id_, idempotency_key=id_, flops=10**5, bytes=10**4, **made) for id_ in ids]


async def admit_all(service: ServiceBroker, jobs: int) -> list[str]:
    """Queue the jobs, 64 in a call."""
    chunks = [submissions(SUBMITTED_AT_ONCE) for _ in range(jobs // SUBMITTED_AT_ONCE)]
    return [job.id for chunk in chunks for job in await service.admit(chunk)]


def work(worker: WorkerBroker, batch: int, meter: Meter, name: str) -> None:
    """Claim and finish until nothing is left; the server's clock ticks are coarse, so each half runs in one go."""
    claims = []
    with meter(f"claim {name}"):
        while claim := worker.claim("w", "cpu", max_jobs=batch, block_ms=0):
            claims.append(claim)
    with meter(f"finish {name}"):
        for claim in claims:
            size = len(claim.jobs)
            timings = {"transfer_ms": 1.0, "compute_ms": 2.0}
            ended = {
                "state": State.SUCCEEDED,
                "result": RESULT,
                "device": "cpu",
                "batch_size": size,
                "timings": timings,
            }
            assert len(worker.finish(claim.lease, [Finished(id=job.id, **ended) for job in claim.jobs])) == size


async def measure(valkey: Valkey, jobs: int) -> Costs:
    """All transitions, for each batch size."""
    meter, numbers = Meter(valkey.pid), count()
    for batch in BATCHES:
        namespace = f"bench-{next(numbers)}"
        service = ServiceBroker.connect(valkey.url, namespace=namespace)
        worker = WorkerBroker.connect(valkey.url, namespace=namespace, linger_ms=0, lease_ms=600_000)
        await service.depth()  # connected, and the scripts known
        with meter(f"admit 64, for {batch}"):
            ids = await admit_all(service, jobs)
        work(worker, batch, meter, str(batch))
        with meter(f"records {batch}"):
            for start in range(0, len(ids), batch):
                await service.records(ids[start : start + batch])
        await service.close()
        worker.close()
    return meter.costs


def main() -> None:
    """Measure, print and save."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, default=6400)
    parser.add_argument("--save", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, Valkey(Path(folder)) as valkey:
        costs = asyncio.run(measure(valkey, options.jobs))
    rows = {name: [1e6 * seconds / options.jobs for seconds in cost] for name, cost in costs.items()}
    for batch in BATCHES:
        parts = [rows[name] for name in (f"admit 64, for {batch}", f"claim {batch}", f"finish {batch}")]
        rows[f"admit + claim + finish, {batch}"] = [sum(column) for column in zip(*parts, strict=True)]
    print(
        table(
            ["transition, batch", "client us/job", "server us/job", "both"], [[n, *c, sum(c)] for n, c in rows.items()]
        )
    )
    if options.save:
        print(save("broker", {"us_per_job": rows, "jobs": options.jobs}))


if __name__ == "__main__":
    main()
