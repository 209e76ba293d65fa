"""A person changes their mind: cancelled at once or at the next heartbeat, and queued again when asked."""

import asyncio
import time

import pytest


async def test_a_queued_job_is_cancelled_at_once(service, admit, take, keys):
    (job,) = await admit()
    record = await service.cancel(job)
    assert (record.state, record.finished_ms is not None, await service.depth()) == ("cancelled", True, (0, 0))
    assert take() is None
    assert keys("queue:") == []


async def test_cancelling_one_of_many_harms_no_other(service, admit, take):
    jobs = await admit(5)
    await service.cancel(jobs[2])
    assert [job.id for job in take().jobs] == jobs[:2] + jobs[3:]


async def test_cancelling_the_oldest_gives_way_to_the_next_oldest_key(service, admit, take):
    (oldest,) = await admit(batch_key="a")
    await asyncio.sleep(0.003)
    await admit(batch_key="b")
    await asyncio.sleep(0.003)
    await admit(batch_key="a")
    await service.cancel(oldest)
    assert [take().batch_key for _ in range(2)] == ["b", "a"]


async def test_the_worker_of_a_running_job_hears_of_its_cancellation(service, admit, take, worker, ended):
    jobs = await admit(3)
    claim = take()
    for job in jobs[:2]:
        assert (await service.cancel(job)).state == "running"
    renewal = worker.renew(claim.lease)
    assert (renewal.held, renewal.cancelled) == (True, set(jobs[:2]))
    worker.finish(claim.lease, [ended(job, "cancelled") for job in jobs[:2]])
    assert [record.state for record in await service.records(jobs)] == ["cancelled", "cancelled", "running"]


async def test_a_job_that_finishes_before_it_hears_keeps_its_result(service, admit, take, worker, ended):
    (job,) = await admit()
    claim = take()
    await service.cancel(job)
    worker.finish(claim.lease, [ended(job)])
    assert (await service.cancel(job)).state == "succeeded"


@pytest.mark.parametrize("state", ["succeeded", "failed", "cancelled", "dead"])
async def test_an_ended_job_is_not_cancelled(service, admit, take, worker, ended, state):
    (job,) = await admit()
    worker.finish(take().lease, [ended(job, state)])
    before = await service.record(job)
    assert await service.cancel(job) == before


async def test_cancelling_twice_is_cancelling_once(service, admit, take, worker, redis, keys):
    first, second = await admit(2)
    claim = take(max_jobs=1)
    for _ in range(2):
        await service.cancel(first)
        await service.cancel(second)
    assert worker.renew(claim.lease).cancelled == {first}
    assert redis.hget(*keys("lease:"), "@stop") == first
    assert (await service.record(second)).state == "cancelled"
    assert await service.depth() == (0, 1)


async def test_an_unknown_job_is_neither_cancelled_nor_retried(service):
    assert (await service.cancel("nowhere"), await service.retry("nowhere")) == (None, None)


async def test_a_cancelled_job_whose_worker_died_is_cancelled_not_queued_again(service, admit, connect_worker):
    worker = connect_worker(lease_ms=1)
    (job,) = await admit()
    worker.claim("w", "cpu")
    await service.cancel(job)
    await asyncio.sleep(0.01)
    assert worker.sweep() == []
    assert ((await service.record(job)).state, await service.depth()) == ("cancelled", (0, 0))


async def test_a_cancelled_job_that_is_released_is_cancelled(service, admit, take, worker, keys):
    (job,) = await admit()
    lease = take().lease
    await service.cancel(job)
    assert worker.release(lease, [job]) == set()
    assert ((await service.record(job)).state, keys("queue:")) == ("cancelled", [])


async def test_a_job_that_came_back_can_be_cancelled(service, admit, take, worker, keys):
    (job,) = await admit()
    worker.release(take().lease, [job])
    assert (await service.cancel(job)).state == "cancelled"
    assert (take(), keys("queue:"), keys("ready")) == (None, [], [])


async def test_cancelling_one_of_those_that_came_back_harms_no_other(service, admit, take, worker):
    first, second = await admit(2)
    worker.release(take().lease, [first, second])
    await service.cancel(first)
    assert [job.id for job in take().jobs] == [second]
    assert await service.depth() == (0, 1)


async def test_a_cancel_whose_reply_was_lost_counts_once(connect_service, proxy, admit, service):
    job, _ = await admit(2)
    lossy = connect_service(proxy.url)
    await lossy.fault()
    proxy.lose_next_reply()
    assert (await lossy.cancel(job)).state == "cancelled"
    assert (proxy.lost, await service.depth()) == (1, (1, 0))


@pytest.mark.parametrize("state", ["failed", "cancelled", "expired", "dead"])
async def test_a_job_without_success_is_queued_again(service, admit, take, worker, ended, state):
    (job,) = await admit()
    worker.finish(take().lease, [ended(job, state, error=b"{}")])
    record = await service.retry(job)
    assert (record.state, record.attempt, record.error, record.finished_ms) == ("queued", 1, None, None)
    (again,) = take().jobs
    assert (again.id, again.spec, again.attempt) == (job, b'{"kind":"gram"}', 2)


async def test_a_retried_job_no_longer_expires(service, admit, connect_worker, ended):
    worker = connect_worker(result_ttl_s=1)
    (job,) = await admit()
    worker.finish(worker.claim("w", "cpu").lease, [ended(job, "failed")])
    await service.retry(job)
    await asyncio.sleep(1.1)
    assert (await service.record(job)).state == "queued"


@pytest.mark.parametrize("how", ["queued", "running", "succeeded"])
async def test_any_other_job_is_not_retried(service, admit, take, worker, ended, how):
    (job,) = await admit()
    if how != "queued":
        claim = take()
    if how == "succeeded":
        worker.finish(claim.lease, [ended(job)])
    before = await service.record(job)
    assert await service.retry(job) == before


async def test_a_dead_job_that_is_retried_may_die_as_often_again(service, admit, connect_worker):
    worker = connect_worker(lease_ms=1, max_deliveries=2)
    (job,) = await admit()

    async def die():
        worker.claim("w", "cpu")
        await asyncio.sleep(0.004)
        worker.sweep()
        return (await service.record(job)).state

    assert [await die(), await die()] == ["queued", "dead"]
    await service.retry(job)
    assert [await die(), await die()] == ["queued", "dead"]


async def test_a_queued_cancel_is_effective_within_50_ms(service, admit):
    jobs, times = await admit(1000), []
    for job in jobs[500:503]:
        start = time.monotonic()
        await service.cancel(job)
        times.append(time.monotonic() - start)
    assert min(times) < 0.05
