"""What becomes of jobs whose process was killed while its parent lives."""

import asyncio
import json

import pytest

from broker.records import Crash
from mercer.errors import JobDead, from_problem

CAUSE = "signal 11 (SIGSEGV)"


@pytest.fixture
def crash(worker, take):
    """A process claims jobs and is killed, as often as told; what became of them the last time."""

    def make(times=1, **options):
        for _ in range(times):
            last = worker.crash(take(**options).lease, CAUSE)
        return last

    return make


async def test_the_jobs_wait_again_in_their_old_places_and_run_alone(service, admit, crash, take):
    first = await admit(3)
    assert crash() == Crash(3, [])
    later = await admit(2)
    assert await service.depth() == (5, 0)
    assert [[job.id for job in take().jobs] for _ in range(4)] == [[job] for job in first] + [later]


async def test_a_job_whose_process_is_killed_three_times_is_dead_and_its_batch_mates_succeed(
    service, admit, take, worker, ended
):
    jobs = await admit(64)
    poison, claims = jobs[40], 0
    while claim := take():
        claims += 1
        if poison in (ids := [job.id for job in claim.jobs]):
            worker.crash(claim.lease, CAUSE)
        else:
            worker.finish(claim.lease, [ended(job) for job in ids])
    records = dict(zip(jobs, await service.records(jobs), strict=True))
    assert {job for job in jobs if records[job].state == "succeeded"} == set(jobs) - {poison}
    assert (records[poison].state, records[poison].attempt, claims) == ("dead", 3, 1 + 63 + 2)
    assert await service.depth() == (0, 0)


async def test_a_dead_job_says_what_killed_its_process_and_how_often(service, admit, crash):
    (job,) = await admit()
    assert crash(times=3) == Crash(0, [job])
    error = from_problem(json.loads((await service.record(job)).error))
    assert isinstance(error, JobDead)
    assert "died 3 times, at last by signal 11 (SIGSEGV)" in error.detail
    assert "retry" in error.detail


async def test_a_dead_job_is_tried_again_from_the_start_by_one_call_and_alone(service, admit, crash, take):
    (poison,) = await admit()
    crash(times=3)
    await service.retry(poison)
    assert crash(times=2) == Crash(1, [])
    await admit()
    assert [job.id for job in take().jobs] == [poison]


async def test_the_second_report_of_a_crash_changes_nothing(service, admit, take, worker):
    jobs = await admit(2)
    lease = take().lease
    worker.crash(lease, CAUSE)
    (again,) = take().jobs
    assert worker.crash(lease, CAUSE) == Crash(0, [])
    assert [record.state for record in await service.records(jobs)] == ["running", "queued"]
    assert again.id == jobs[0]


async def test_what_ended_before_the_crash_is_blamed_for_nothing(service, admit, take, worker, ended):
    jobs = await admit(3)
    claim = take()
    worker.finish(claim.lease, [ended(jobs[1])])
    assert worker.crash(claim.lease, CAUSE) == Crash(2, [])
    assert (await service.record(jobs[1])).state == "succeeded"


async def test_a_job_whose_cancellation_was_asked_for_is_cancelled(service, admit, take, worker):
    jobs = await admit(2)
    lease = take().lease
    await service.cancel(jobs[0])
    assert worker.crash(lease, CAUSE) == Crash(1, [])
    assert [record.state for record in await service.records(jobs)] == ["cancelled", "queued"]


async def test_lost_leases_are_no_crashes(service, admit, connect_worker, crash):
    (job,) = await admit()
    frozen = connect_worker(lease_ms=1)
    for _ in range(9):
        frozen.claim("w", "cpu")
        await asyncio.sleep(0.004)
        frozen.sweep()
    assert crash(times=2) == Crash(1, [])
    assert (await service.record(job)).state == "queued"


async def test_nobody_else_can_report_a_crash(service, admit, take, worker):
    await admit()
    take()
    assert worker.crash("another", CAUSE) == Crash(0, [])
    assert await service.depth() == (0, 1)
