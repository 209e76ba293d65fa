"""What becomes of jobs whose worker dies, hangs, drains or simply takes long."""

import asyncio
import json
import subprocess
import sys
import time

import pytest

from mercer.errors import JobDead, from_problem

HOLD = """
import sys, time
from broker.worker_broker import WorkerBroker
worker = WorkerBroker.connect(sys.argv[1], namespace=sys.argv[2], lease_ms=int(sys.argv[3]), linger_ms=0)
print(len(worker.claim("doomed", "cpu").jobs), flush=True)
time.sleep(60)
"""


@pytest.fixture
def die_holding(valkey_url, namespace):
    """A real worker process claims what there is and is killed; answers how many jobs it held."""

    def die(lease_ms):
        command = [sys.executable, "-c", HOLD, valkey_url, namespace, str(lease_ms)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            held = int(process.stdout.readline())
            process.kill()
        return held

    return die


@pytest.fixture
def lose(connect_worker):
    """A worker claims and its lease expires at once, as often as told."""

    async def make(times=1, **options):
        worker = connect_worker(lease_ms=1, **options)
        for _ in range(times):
            worker.claim("doomed", "cpu")
            await asyncio.sleep(0.004)
            worker.sweep()
        return worker

    return make


async def sweep_until_back(worker, number, every_s):
    """The ids that came back, and when the last one did."""
    back = []
    while len(back) < number:
        await asyncio.sleep(every_s)
        back += worker.sweep()
    return back, time.monotonic()


async def test_a_dead_workers_jobs_are_queued_again_within_the_lease_and_a_quarter(
    admit, connect_worker, die_holding, take, worker, ended
):
    jobs = await admit(20)
    sweeper = connect_worker(lease_ms=800)
    assert die_holding(800) == 20
    died = time.monotonic()
    back, when = await sweep_until_back(sweeper, 20, every_s=0.1)
    assert (sorted(back), when - died < 1.0) == (sorted(jobs), True)
    claim = take()
    assert worker.finish(claim.lease, [ended(job) for job in jobs]) == set(jobs)


async def test_a_lease_that_is_held_is_not_swept(admit, take, worker):
    await admit()
    take()
    assert worker.sweep() == []


async def test_a_renewed_lease_lasts_ten_times_as_long(service, admit, connect_worker, ended):
    (job,) = await admit()
    worker, other = connect_worker(lease_ms=60), connect_worker()
    claim = worker.claim("w", "cpu")
    start = time.monotonic()
    while time.monotonic() - start < 0.6:
        await asyncio.sleep(0.02)
        assert worker.renew(claim.lease).held
        assert other.sweep() == []
    assert worker.finish(claim.lease, [ended(job)]) == {job}
    assert (await service.record(job)).attempt == 1


async def test_a_lost_lease_is_told_at_its_renewal(admit, connect_worker):
    worker = connect_worker(lease_ms=1)
    await admit()
    lease = worker.claim("w", "cpu").lease
    await asyncio.sleep(0.01)
    worker.sweep()
    assert not worker.renew(lease).held


async def test_jobs_that_came_back_go_first_and_in_order(admit, lose, take):
    first = await admit(3)
    await lose()
    later = await admit(2)
    assert [job.id for job in take().jobs] == first + later


async def test_after_two_deaths_a_job_runs_alone(admit, lose, take):
    jobs = await admit(3)
    await lose(times=1)
    claim = take()
    assert len(claim.jobs) == 3
    worker = await lose(times=0)
    worker.release(claim.lease, jobs)
    await lose(times=1)
    assert [[job.id for job in take().jobs] for _ in range(3)] == [[job] for job in jobs]


async def test_a_poison_job_dies_and_its_batch_mates_succeed(service, admit, connect_worker, ended):
    jobs = await admit(8)
    worker, poison, runs = connect_worker(lease_ms=40, max_deliveries=4), jobs[3], 0
    while (await service.depth()) != (0, 0):
        worker.sweep()
        if claim := worker.claim("w", "cpu", block_ms=50):
            runs += 1
            if poison not in [job.id for job in claim.jobs]:
                worker.finish(claim.lease, [ended(job.id) for job in claim.jobs])
    records = dict(zip(jobs, await service.records(jobs), strict=True))
    assert {job for job in jobs if records[job].state == "succeeded"} == set(jobs) - {poison}
    assert (records[poison].state, records[poison].attempt) == ("dead", 4)
    assert runs <= 2 + 4 + 7
    error = from_problem(json.loads(records[poison].error))
    assert isinstance(error, JobDead)
    assert "died 4 times" in error.detail


async def test_one_sweep_takes_back_all_that_expired_in_small_steps(admit, connect_worker):
    worker = connect_worker(lease_ms=1)
    jobs = await admit(9)
    for _ in range(9):
        worker.claim("w", "cpu", max_jobs=1)
    await asyncio.sleep(0.01)
    assert sorted(worker.sweep()) == sorted(jobs)
    assert worker.sweep() == []


async def test_released_jobs_wait_in_their_old_places_and_it_counts_as_no_delivery(service, admit, take, worker):
    jobs = await admit(4)
    claim = take(max_jobs=3)
    assert worker.release(claim.lease, jobs[1:3]) == set(jobs[1:3])
    assert await service.depth() == (3, 1)
    assert [record.attempt for record in await service.records(jobs)] == [1, 0, 0, 0]
    assert [(job.id, job.attempt) for job in take().jobs] == [(job, 1) for job in jobs[1:]]


async def test_a_hundred_releases_kill_no_job(service, admit, take, connect_worker):
    worker = connect_worker(max_deliveries=3)
    (job,) = await admit()
    for _ in range(100):
        worker.release(take().lease, [job])
    assert (await service.record(job)).state == "queued"


async def test_only_the_holder_can_release(service, admit, take, worker):
    (job,) = await admit()
    take()
    assert worker.release("another", [job]) == set()
    assert await service.depth() == (0, 1)


async def test_a_stream_deleted_by_hand_loses_no_running_job(admit, lose, redis, keys, take, connect_worker):
    (job,) = await admit()
    worker = connect_worker(lease_ms=1)
    worker.claim("w", "cpu")
    redis.delete(*keys("queue:"))
    await asyncio.sleep(0.004)
    assert worker.sweep() == [job]
    assert [job.id for job in take().jobs] == [job]


async def test_announced_workers_are_listed_until_they_fall_silent(service, connect_worker):
    worker = connect_worker(lease_ms=100)
    worker.announce("b", "cuda:0", running=3, jobs_done=5)
    worker.announce("a", "cpu")
    listed = await service.workers()
    assert [(w.name, w.device, w.running, w.jobs_done) for w in listed] == [("a", "cpu", 0, 0), ("b", "cuda:0", 3, 5)]
    await asyncio.sleep(0.35)
    assert await service.workers() == []


async def test_a_workers_start_is_kept_from_one_announcement_to_the_next(service, worker):
    worker.announce("a", "cpu")
    (first,) = await service.workers()
    await asyncio.sleep(0.01)
    worker.announce("a", "cpu", jobs_done=1)
    (second,) = await service.workers()
    assert (second.started_at, second.seen_at > first.seen_at) == (first.started_at, True)


async def test_a_retired_worker_is_not_listed(service, worker):
    worker.announce("a", "cpu")
    worker.retire("a")
    assert await service.workers() == []
