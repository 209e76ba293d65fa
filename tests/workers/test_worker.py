"""A worker process, on a real Valkey and a real store."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import time

import psutil

from mercer.jobs import State
from tests.workers.jobs import finished, gram, long, submission, unfit


async def admit(queue, *specs, **fields):
    return [job.id for job in await queue.admit([submission(spec, **fields) for spec in specs])]


async def running(queue, job_id, within_s=60.0):
    """Wait until a worker has a job."""
    until = time.monotonic() + within_s
    while (record := await queue.record(job_id)).state != State.RUNNING:
        assert not record.done, "it was too fast for this test"
        assert time.monotonic() < until
        await asyncio.sleep(0.01)


async def test_like_jobs_share_a_batch(queue, start_worker):
    ids = await admit(queue, *(gram(n) for n in range(1, 21)))
    start_worker()
    records = await finished(queue, ids)
    assert {record.state for record in records} == {State.SUCCEEDED}
    assert {record.batch_size for record in records} == {20}


async def test_a_ready_worker_is_announced_and_a_drained_one_is_not(queue, start_worker):
    process = start_worker(MERCER_WORKER_NAME="w1")
    await finished(queue, await admit(queue, gram()))
    (worker,) = await queue.workers()
    assert (worker.name, worker.device) == ("w1", "cpu")
    process.terminate()
    assert process.wait(100) == 0
    assert await queue.workers() == []


async def test_a_dead_workers_job_is_claimed_again(queue, start_worker, bench):
    (job_id,) = await admit(queue, long(bench.shelves.datasets))
    first = start_worker(MERCER_WORKER_NAME="first")
    await running(queue, job_id)
    first.kill()
    start_worker(MERCER_WORKER_NAME="second")
    (record,) = await finished(queue, [job_id])
    assert (record.state, record.worker, record.attempt) == (State.SUCCEEDED, "second", 2)


async def test_a_worker_that_was_frozen_past_its_lease_changes_nothing(queue, start_worker, bench):
    (job_id,) = await admit(queue, long(bench.shelves.datasets))
    first = start_worker(MERCER_WORKER_NAME="first")
    await running(queue, job_id)
    os.killpg(first.pid, signal.SIGSTOP)
    start_worker(MERCER_WORKER_NAME="second")
    (record,) = await finished(queue, [job_id])
    os.killpg(first.pid, signal.SIGCONT)
    first.terminate()
    assert first.wait(100) == 0
    assert "lost" in (log := first.stderr.read()) or "refused" in log
    assert await queue.record(job_id) == record
    assert record.worker == "second"


async def test_a_drained_worker_finishes_its_batch_and_takes_no_other(queue, start_worker, bench):
    (job_id,) = await admit(queue, long(bench.shelves.datasets))
    process = start_worker()
    await running(queue, job_id)
    process.terminate()
    (later,) = await admit(queue, gram())
    assert process.wait(100) == 0
    first, second = await queue.records([job_id, later])
    assert (first.state, second.state) == (State.SUCCEEDED, State.QUEUED)


async def test_what_a_drained_worker_cannot_finish_in_its_grace_goes_back_and_counts_as_no_attempt(
    queue, start_worker, bench
):
    (job_id,) = await admit(queue, long(bench.shelves.datasets, n=12_000))
    process = start_worker(MERCER_DRAIN_S="0")
    await running(queue, job_id)
    process.terminate()
    assert process.wait(100) == 0
    record = await queue.record(job_id)
    assert (record.state, record.attempt) == (State.QUEUED, 0)


async def test_a_running_job_is_cancelled_between_its_tiles(queue, start_worker, bench):
    (job_id,) = await admit(queue, long(bench.shelves.datasets, n=12_000))
    start_worker()
    await running(queue, job_id)
    await queue.cancel(job_id)
    (record,) = await finished(queue, [job_id])
    assert record.state == State.CANCELLED
    assert record.progress < 1


async def test_a_running_job_is_stopped_at_its_deadline(queue, start_worker, bench):
    start_worker()
    await finished(queue, await admit(queue, gram()))
    (job_id,) = await admit(queue, long(bench.shelves.datasets, n=12_000), cancel_after_ms=300)
    await running(queue, job_id)
    while await queue.depth() != (0, 0):
        await queue.expire()
        await asyncio.sleep(0.05)
    record = await queue.record(job_id)
    assert (record.state, record.progress < 1, "while it ran" in record.error.decode()) == (State.EXPIRED, True, True)


async def test_a_job_that_fails_says_why_and_its_mates_succeed(queue, start_worker):
    ids = await admit(queue, gram(2), unfit(), gram(4))
    start_worker()
    records = await finished(queue, ids)
    assert [record.state for record in records] == [State.SUCCEEDED, State.FAILED, State.SUCCEEDED]
    assert json.loads(records[1].error)["title"] == "The job failed"


async def test_a_full_store_fails_the_job_that_does_not_fit_and_no_other(queue, start_worker):
    process = start_worker()
    await finished(queue, await admit(queue, gram()))
    # As a full disk: no file of this process may grow beyond 1 MB.
    psutil.Process(process.pid).children()[0].rlimit(psutil.RLIMIT_FSIZE, (2**20, 2**20))
    ids = await admit(queue, gram(50), gram(500), gram(60), gram(3))
    records = await finished(queue, ids)
    assert [record.state for record in records] == [State.SUCCEEDED, State.FAILED, State.SUCCEEDED, State.SUCCEEDED]
    problem = json.loads(records[1].error)
    assert problem["type"] == "urn:mercer:problem:unavailable"
    assert "full" in problem["detail"]


def test_a_bad_setting_is_named():
    environment = os.environ | {"MERCER_LEASE_S": "-1", "MERCER_DEVICE": "tpu"}
    answer = subprocess.run([sys.executable, "-m", "workers"], env=environment, capture_output=True, text=True)
    assert answer.returncode == 2
    assert "MERCER_LEASE_S" in answer.stderr
    assert "MERCER_DEVICE" in answer.stderr


async def test_a_long_job_tells_how_far_it_is(queue, start_worker, bench):
    (job_id,) = await admit(queue, long(bench.shelves.datasets, n=8_000))
    start_worker()
    told = [fraction async for _, name, fraction in queue.events(job_id, None) if name == "progress"]
    assert told == sorted(told)
    assert 0 < told[0] < 1
