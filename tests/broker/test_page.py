"""Listing: newest first, complete, in pages; and what has expired is forgotten."""

import asyncio

import pytest

from mercer.errors import InvalidRequest


@pytest.fixture
def all_pages(service):
    async def read(limit, state=None):
        pages, cursor = [], None
        while not pages or cursor:
            records, cursor = await service.page(cursor, limit, state)
            pages.append([record.id for record in records])
        return pages

    return read


async def test_pages_are_newest_first_and_complete(admit, all_pages):
    jobs = [job for _ in range(5) for job in await admit(5)]
    pages = await all_pages(10)
    assert [len(page) for page in pages if page] == [10, 10, 5]
    assert [job for page in pages for job in page] == jobs[::-1]


async def test_the_last_page_has_no_next(service, admit):
    await admit(3)
    records, cursor = await service.page(None, 10, None)
    assert (len(records), cursor) == (3, None)


async def test_an_empty_queue_has_one_empty_page(service):
    assert await service.page(None, 10, None) == ([], None)


async def test_new_jobs_do_not_disturb_the_next_page(service, admit):
    jobs = await admit(4)
    _, cursor = await service.page(None, 2, None)
    await admit(2)
    records, _ = await service.page(cursor, 2, None)
    assert [record.id for record in records] == [jobs[1], jobs[0]]


@pytest.mark.parametrize(("state", "number"), [("queued", 10), ("running", 3), ("failed", 2), ("dead", 0)])
async def test_a_state_selects(admit, take, worker, ended, service, all_pages, state, number):
    await admit(15)
    claim = take(max_jobs=5)
    worker.finish(claim.lease, [ended(job.id, "failed") for job in claim.jobs[:2]])
    jobs = [job for page in await all_pages(4, state) for job in page]
    assert len(set(jobs)) == len(jobs) == number
    assert all(record.state == state for record in await service.records(jobs))


async def test_a_rare_state_is_found_among_thousands(service, admit, all_pages):
    (oldest,) = await admit()
    await service.cancel(oldest)
    for _ in range(3):
        await admit(1000)
    assert [job for page in await all_pages(5, "cancelled") for job in page] == [oldest]


@pytest.mark.parametrize("cursor", ["", "x", "1-2-3", "-", "(1-1", "9" * 40])
async def test_an_unreadable_cursor_is_refused(service, cursor):
    with pytest.raises(InvalidRequest, match="cursor"):
        await service.page(cursor, 10, None)


async def test_expired_records_are_left_out_and_then_dropped_from_the_index(
    service, admit, connect_worker, ended, all_pages, keys, redis
):
    worker = connect_worker(result_ttl_s=1)
    jobs = await admit(1200)
    claim = worker.claim("w", "cpu", max_jobs=1199)
    worker.finish(claim.lease, [ended(job.id) for job in claim.jobs])
    await asyncio.sleep(1.1)
    assert [job for page in await all_pages(1000) for job in page] == [jobs[-1]]
    await asyncio.sleep(0.2)
    worker.sweep()
    assert redis.xlen(*keys("index")) == 1
    assert [job for page in await all_pages(10) for job in page] == [jobs[-1]]


async def test_many_old_waiting_jobs_do_not_hide_expired_ones_from_the_trimming(
    admit, connect_worker, ended, keys, redis
):
    worker = connect_worker(result_ttl_s=1)
    await admit(600, batch_key="waiting")
    (job,) = await admit(batch_key="ended")
    worker.claim("w", "cpu", max_jobs=600)
    worker.finish(worker.claim("w", "cpu").lease, [ended(job)])
    await asyncio.sleep(1.3)
    worker.sweep()
    assert redis.xlen(*keys("index")) == 600
