"""Jobs that were given up: listed without a look at all others, queued again one by one or together, and forgotten."""

import asyncio

import pytest

from broker.keys import tag


@pytest.fixture
def kill(take, worker, ended):
    """Gives up all jobs that wait."""

    def make():
        while claim := take():
            worker.finish(claim.lease, [ended(job.id, "dead", error=b'{"detail":"why"}') for job in claim.jobs])

    return make


@pytest.fixture
def dead(service):
    async def make(tenant="default", limit=100):
        records, _ = await service.page(None, limit, "dead", tenant)
        return [record.id for record in records]

    return make


async def test_the_dead_are_listed_newest_first_with_the_reason(service, admit, kill, dead):
    jobs = [job for _ in range(3) for job in await admit()]
    kill()
    await admit(5)
    assert await dead() == jobs[::-1]
    assert (await service.record(jobs[0])).error == b'{"detail":"why"}'


async def test_the_oldest_dead_job_is_on_the_first_page_behind_any_number_of_others(admit, kill, dead):
    (oldest,) = await admit()
    kill()
    for _ in range(3):
        await admit(1000)
    assert await dead(limit=1) == [oldest]


async def test_dead_jobs_are_paged(service, admit, kill):
    jobs = await admit(5)
    kill()
    first, cursor = await service.page(None, 3, "dead")
    rest, end = await service.page(cursor, 3, "dead")
    assert ([record.id for record in first + rest], end) == (jobs[::-1], None)


@pytest.mark.parametrize("number", [1, 250])
async def test_all_are_queued_again_by_one_call(service, admit, kill, dead, keys, number):
    jobs = await admit(number)
    kill()
    assert await service.retry_dead() == number
    assert (await service.depth(), await dead(), keys("dead")) == ((number, 0), [], [])
    assert await service.retry_dead() == 0
    assert {record.state for record in await service.records(jobs)} == {"queued"}


async def test_one_that_is_tried_again_leaves_the_list_and_comes_back_when_it_dies_again(service, admit, kill, dead):
    first, second = await admit(2)
    kill()
    await service.retry(first)
    assert await dead() == [second]
    kill()
    assert await dead() == [first, second]


async def test_a_tenant_sees_and_requeues_its_own(service, admit, kill, dead):
    (ours,) = await admit(tenant="a")
    (theirs,) = await admit(tenant="b")
    kill()
    assert (await dead("a"), await dead("b"), await dead()) == ([ours], [theirs], [])
    assert await service.retry_dead("a") == 1
    assert (await dead("a"), await dead("b")) == ([], [theirs])


async def test_other_ends_are_not_listed(service, admit, take, worker, ended, dead):
    jobs = await admit(2)
    worker.finish(take().lease, [ended(jobs[0]), ended(jobs[1], "failed")])
    assert await dead() == []


async def test_the_list_forgets_those_whose_records_have_expired(
    connect_worker, admit, ended, dead, service, redis, keys
):
    worker = connect_worker(result_ttl_s=1)
    for _ in range(2):
        (job,) = await admit()
        worker.finish(worker.claim("w", "cpu").lease, [ended(job, "dead")])
        await asyncio.sleep(1.1)
    assert redis.xlen(*keys("dead")) == 1
    assert await dead() == []
    assert (await service.retry_dead(), keys("dead")) == (0, [])


async def test_a_requeueing_whose_reply_was_lost_queues_nothing_twice(
    connect_service, proxy, admit, kill, service, dead
):
    through = connect_service(proxy.url)
    await admit(3)
    kill()
    await through.retry_dead("nobody")
    proxy.lose_next_reply()
    await through.retry_dead()
    assert (proxy.lost, await service.depth(), await dead()) == (1, (3, 0), [])


async def test_the_dead_of_a_namespace_without_any_leave_no_key(service, redis, namespace):
    assert await service.retry_dead() == 0
    assert not redis.exists(f"{tag(namespace)}:dead")
