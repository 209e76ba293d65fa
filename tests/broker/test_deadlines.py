"""A job with a deadline: never started after it, stopped at it when it runs, expired on time though no worker looks."""

import asyncio
import json

import pytest

from broker.keys import tag


@pytest.fixture
def pass_deadlines(redis, namespace):
    """Moves every deadline into the past."""

    def move():
        key = f"{tag(namespace)}:deadlines"
        for job in redis.zrange(key, 0, -1):
            redis.zadd(key, {job: 1})
            redis.hset(f"{tag(namespace)}:job:{job}", "expires", 1)

    return move


async def test_a_waiting_job_expires_at_its_deadline_and_not_before(service, admit, keys):
    (job,) = await admit(cancel_after_ms=150)
    (other,) = await admit(cancel_after_ms=60_000)
    next_s = await service.expire()
    before = await service.record(job)
    assert (before.state, before.expires_ms - before.created_ms, 0 < next_s <= 0.15) == ("queued", 150, True)
    await asyncio.sleep(next_s)
    assert 50 < await service.expire() <= 60
    record = await service.record(job)
    assert (record.state, record.finished_ms >= before.expires_ms) == ("expired", True)
    assert json.loads(record.error)["type"] == "urn:mercer:problem:job-expired"
    assert "before it was started" in json.loads(record.error)["detail"]
    assert ((await service.record(other)).state, await service.depth()) == ("queued", (1, 0))
    assert (await service.queue_depth()).expired == 1


async def test_whoever_waits_for_a_job_hears_that_it_expired(service, admit):
    (job,) = await admit(cancel_after_ms=100)
    waiting = asyncio.create_task(service.wait([job], 5))
    await asyncio.sleep(0.15)
    await service.expire()
    assert await asyncio.wait_for(waiting, 0.5) == {job}


async def test_a_job_past_its_deadline_is_never_started(service, admit, take, pass_deadlines, keys):
    (late,) = await admit(cancel_after_ms=1000)
    pass_deadlines()
    (other,) = await admit()
    assert [job.id for job in take().jobs] == [other]
    assert ((await service.record(late)).state, await service.depth()) == ("expired", (0, 1))
    (late,) = await admit(batch_key="alone", cancel_after_ms=1000)
    pass_deadlines()
    assert take() is None
    assert ((await service.record(late)).state, keys("queue:")) == ("expired", keys("queue:1:default:gram:a"))


async def test_a_running_job_is_stopped_at_its_deadline(service, admit, take, worker, ended, pass_deadlines):
    job, other = await admit(2, cancel_after_ms=1000)
    claim = take()
    pass_deadlines()
    for _ in range(2):
        await service.expire()
    assert worker.renew(claim.lease).cancelled == {job, other}
    worker.finish(claim.lease, [ended(job, "cancelled"), ended(other)])
    record, finished = await service.records([job, other])
    assert (record.state, "while it ran" in json.loads(record.error)["detail"]) == ("expired", True)
    assert finished.state == "succeeded", "it finished before it heard"


async def test_what_a_person_cancelled_stays_cancelled_after_its_deadline(
    service, admit, take, worker, ended, pass_deadlines
):
    running, waiting = await admit(2, cancel_after_ms=1000)
    claim = take(max_jobs=1)
    await service.cancel(running)
    await service.cancel(waiting)
    pass_deadlines()
    await service.expire()
    worker.finish(claim.lease, [ended(running, "cancelled")])
    assert [record.state for record in await service.records([running, waiting])] == ["cancelled"] * 2


@pytest.mark.parametrize("how", ["sweep", "release"])
async def test_a_job_that_comes_back_after_its_deadline_expires(service, admit, connect_worker, pass_deadlines, how):
    worker = connect_worker(lease_ms=1)
    (job,) = await admit(cancel_after_ms=1000)
    claim = worker.claim("w", "cpu")
    pass_deadlines()
    await service.expire()
    assert (await service.record(job)).state == "running"
    await asyncio.sleep(0.005)
    worker.sweep() if how == "sweep" else worker.release(claim.lease, [job])
    assert ((await service.record(job)).state, await service.depth()) == ("expired", (0, 0))


async def test_a_job_that_ended_before_its_deadline_stays_as_it_is(
    service, admit, take, worker, ended, pass_deadlines, keys
):
    (job,) = await admit(cancel_after_ms=1000)
    worker.finish(take().lease, [ended(job)])
    before = await service.record(job)
    pass_deadlines()
    assert await service.expire() is None
    assert (await service.record(job)).result == before.result
    assert keys("deadlines") == []


async def test_a_job_that_is_tried_again_has_its_whole_time_again(service, admit, pass_deadlines, take):
    (job,) = await admit(cancel_after_ms=60_000)
    pass_deadlines()
    await service.expire()
    record = await service.retry(job)
    assert (record.state, record.expires_ms > record.created_ms + 59_000) == ("queued", True)
    assert 59 < await service.expire() <= 60
    assert [claimed.id for claimed in take().jobs] == [job]


async def test_more_deadlines_than_one_script_looks_at_all_pass(service, admit, pass_deadlines):
    jobs = await admit(450, cancel_after_ms=1000)
    pass_deadlines()
    await service.expire()
    assert {record.state for record in await service.records(jobs)} == {"expired"}


async def test_an_expiry_whose_reply_was_lost_counts_once(connect_service, service, proxy, admit, pass_deadlines):
    through = connect_service(proxy.url)
    (job,) = await admit(cancel_after_ms=1000)
    await through.fault()
    pass_deadlines()
    proxy.lose_next_reply()
    await through.expire()
    assert (proxy.lost, (await service.queue_depth()).expired, await service.depth()) == (1, 1, (0, 0))
    assert (await service.record(job)).state == "expired"
