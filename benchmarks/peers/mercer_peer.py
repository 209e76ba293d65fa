"""Our queue with all that it promises: idempotency keys, leases, fenced results, records that expire.

With the argument `work` it is the worker: claim, do nothing, finish with a result.
"""

import asyncio
import sys
import uuid

from measuring import COUNTER, URL, connection, measure

from broker.records import Finished, Submission
from broker.service_broker import ServiceBroker
from broker.worker_broker import WorkerBroker
from mercer.jobs import State

AT_ONCE = 64
IN_FLIGHT = 4
"""Submissions under way at once, as the service has those of several clients."""

SPEC = b'{"kind": "noop"}'


def submissions(number: int) -> list[Submission]:
    """Jobs of one batch key."""
    ids = [uuid.uuid4().hex for _ in range(number)]
    made = {"kind": "noop", "batch_key": "noop", "spec": SPEC, "fingerprint": "0" * 64, "flops": 1, "bytes": 1}
    return [Submission(id=job_id, idempotency_key=job_id, **made) for job_id in ids]


def work() -> None:
    """Until killed."""
    broker = WorkerBroker.connect(URL, linger_ms=0)
    while True:
        claim = broker.claim("noop", "cpu", max_jobs=AT_ONCE)
        if claim is not None:
            ran = {"device": "cpu", "batch_size": len(claim.jobs), "timings": {}}
            ended = [Finished(id=job.id, state=State.SUCCEEDED, result=b"1", **ran) for job in claim.jobs]
            connection.incrby(COUNTER, len(broker.finish(claim.lease, ended)))


def main() -> None:
    """As the other queues."""
    with asyncio.Runner() as runner:
        broker = ServiceBroker.connect(URL)

        async def submit(number: int) -> None:
            numbers = [min(AT_ONCE, number - start) for start in range(0, number, AT_ONCE)]
            for start in range(0, len(numbers), IN_FLIGHT):
                chunks = map(submissions, numbers[start : start + IN_FLIGHT])
                await asyncio.gather(*(broker.admit(chunk) for chunk in chunks))

        async def call() -> None:
            (job,) = submissions(1)
            await broker.admit([job])
            assert await broker.wait([job.id], 60)
            record = await broker.record(job.id)
            assert record is not None
            assert record.result == b"1"

        measure(lambda number: runner.run(submit(number)), lambda: runner.run(call()))
        runner.run(broker.close())


if __name__ == "__main__":
    work() if sys.argv[1:] == ["work"] else main()
