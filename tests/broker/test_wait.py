"""Waiting costs one connection, wakes at once, and outlives lost messages."""

import asyncio
import time

import pytest

from broker import service_broker
from broker.keys import channels
from broker.wakes import RECHECK_S


@pytest.fixture
def finish_later(take, worker, ended):
    async def later(pause_s, **options):
        await asyncio.sleep(pause_s)
        claim = take(**options)
        start = time.monotonic()
        worker.finish(claim.lease, [ended(job.id) for job in claim.jobs])
        return start

    return later


async def test_a_wait_wakes_within_10_ms(service, admit, finish_later):
    (job,) = await admit()
    latencies = []
    for _ in range(5):
        (job,) = await admit()
        finishing = asyncio.create_task(finish_later(0.05))
        assert job in await service.wait([job], 5)
        latencies.append(time.monotonic() - await finishing)
    assert min(latencies) < 0.010


async def test_a_wait_in_which_all_jobs_have_ended_gathers_no_more(service, admit, finish_later, monkeypatch):
    monkeypatch.setattr(service_broker, "GATHER_S", 5.0)
    jobs = await admit(2)
    finishing = asyncio.create_task(finish_later(0.05))
    async with asyncio.timeout(2):
        assert await service.wait(jobs, 5) == set(jobs)
    await finishing


async def test_what_has_ended_already_is_answered_at_once(service, admit, finish_later):
    jobs = await admit(2)
    await finish_later(0, max_jobs=1)
    start = time.monotonic()
    assert await service.wait(jobs, 5) == {jobs[0]}
    assert time.monotonic() - start < 0.5


async def test_the_batch_mates_of_the_first_come_with_it(service, admit, finish_later):
    jobs = await admit(64)
    finishing = asyncio.create_task(finish_later(0.05))
    assert await service.wait(jobs, 5) == set(jobs)
    await finishing


async def test_a_wait_is_over_in_time(service, admit):
    jobs = await admit(2)
    start = time.monotonic()
    assert await service.wait(jobs, 0.2) == set()
    assert 0.2 <= time.monotonic() - start < 0.4


async def test_nobody_waits_for_an_unknown_job(service, admit):
    assert await service.wait([*await admit(), "nowhere"], 5) == {"nowhere"}


async def test_a_wait_of_no_time_only_looks(service, admit):
    assert await service.wait(await admit(), 0) == set()


@pytest.mark.parametrize("how", ["cancelled", "dead"])
async def test_every_kind_of_end_wakes(service, admit, connect_worker, how):
    worker = connect_worker(lease_ms=1, max_deliveries=1)
    (job,) = await admit()
    waiting = asyncio.create_task(service.wait([job], 5))
    await asyncio.sleep(0.05)
    start = time.monotonic()
    if how == "cancelled":
        await service.cancel(job)
    else:
        worker.claim("w", "cpu")
        await asyncio.sleep(0.004)
        worker.sweep()
    assert await waiting == {job}
    assert time.monotonic() - start < 0.5


async def test_an_end_that_nobody_told_of_is_found(service, admit, redis, keys):
    (job,) = await admit()
    waiting = asyncio.create_task(service.wait([job], 5))
    await asyncio.sleep(0.05)
    redis.hset(*keys("job:"), mapping={"state": "cancelled", "ended": 1})
    start = time.monotonic()
    assert await waiting == {job}
    assert time.monotonic() - start < RECHECK_S + 0.5


async def test_what_ended_while_the_connection_was_down_is_heard_when_it_is_back(
    service, admit, redis, namespace, finish_later, eventually
):
    (job,) = await admit()
    waiting = asyncio.create_task(service.wait([job], 5))
    await eventually(lambda: redis.pubsub_numsub(channels(namespace)[0])[0][1] == 1)
    for client in redis.client_list(_type="pubsub"):
        redis.client_kill_filter(_id=client["id"])
    start = await finish_later(0)
    assert await waiting == {job}
    assert time.monotonic() - start < RECHECK_S / 2


async def test_the_connection_that_wakes_comes_back(service, admit, redis, namespace, finish_later, eventually):
    ended, _ = channels(namespace)
    (job,) = await admit()
    waiting = asyncio.create_task(service.wait([job], 5))
    await eventually(lambda: redis.pubsub_numsub(ended)[0][1] == 1)
    for client in redis.client_list(_type="pubsub"):
        redis.client_kill_filter(_id=client["id"])
    await eventually(lambda: redis.pubsub_numsub(ended)[0][1] == 0)
    await eventually(lambda: redis.pubsub_numsub(ended)[0][1] == 1)
    await finish_later(0)
    assert await waiting == {job}


async def test_a_thousand_waiters_share_one_connection(service, admit, redis, namespace, finish_later, eventually):
    jobs = await admit(1000)
    waiting = [asyncio.create_task(service.wait([job], 20)) for job in jobs]
    await eventually(lambda: redis.pubsub_numsub(channels(namespace)[0])[0][1] == 1)
    await finish_later(0, max_jobs=1000)
    assert [await task for task in waiting] == [{job} for job in jobs]


async def test_a_waiter_that_gives_up_leaves_nothing_behind(service, admit):
    jobs = await admit(3)
    waiting = asyncio.create_task(service.wait(jobs, 20))
    await asyncio.sleep(0.05)
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    assert not service._wakes._watches
    assert (await service.record(jobs[0])).id == jobs[0]
