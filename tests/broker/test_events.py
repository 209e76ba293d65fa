"""What happens to a job, as a stream that can be cut anywhere and taken up again."""

import asyncio
import time

import pytest

from broker.wakes import RECHECK_S


@pytest.fixture
def listen(service):
    """Collects a job's events in the background."""

    def start(job, after=None):
        async def collect():
            return [event async for event in service.events(job, after)]

        return asyncio.create_task(collect())

    return start


def told(events):
    return [data if name == "progress" else str(data.state) for _, name, data in events]


async def run(job, take, worker, ended):
    claim = take()
    for fraction in (0.25, 0.5, 0.75):
        worker.progress(claim.lease, job, fraction)
    worker.finish(claim.lease, [ended(job)])


async def test_a_job_tells_its_states_and_its_progress(admit, listen, take, worker, ended):
    (job,) = await admit()
    events = listen(job)
    await asyncio.sleep(0.1)
    claim = take()
    await asyncio.sleep(0.1)
    worker.progress(claim.lease, job, 0.5)
    await asyncio.sleep(0.1)
    worker.finish(claim.lease, [ended(job)])
    assert told(await events) == ["queued", "running", 0.5, "succeeded"]


async def test_progress_is_told_at_once(service, admit, take, worker):
    (job,) = await admit()
    lease, start = take().lease, None
    async for _, name, data in service.events(job, None):
        if name == "progress":
            assert data == 0.5
            assert time.monotonic() - start < RECHECK_S / 2
            break
        start = time.monotonic()
        asyncio.get_running_loop().call_later(0.1, worker.progress, lease, job, 0.5)


async def test_an_ended_job_tells_all_its_progress_and_its_end(admit, listen, take, worker, ended):
    (job,) = await admit()
    await run(job, take, worker, ended)
    assert told(await listen(job)) == [0.25, 0.5, 0.75, "succeeded"]


async def test_events_resume_after_any_of_them_with_none_missing_or_twice(admit, listen, take, worker, ended):
    (job,) = await admit()
    await run(job, take, worker, ended)
    events = await listen(job)
    assert len({event_id for event_id, _, _ in events}) == len(events)
    for n, (event_id, _, _) in enumerate(events):
        assert await listen(job, after=event_id) == events[n + 1 :]


async def test_events_resume_while_the_job_runs(admit, listen, service, take, worker, ended):
    (job,) = await admit()
    claim = take()
    worker.progress(claim.lease, job, 0.5)
    seen = []
    async for event in service.events(job, None):
        seen.append(event)
        if event[1] == "progress":
            break
    worker.progress(claim.lease, job, 0.75)
    worker.finish(claim.lease, [ended(job)])
    assert told(seen) + told(await listen(job, after=seen[-1][0])) == ["running", 0.5, 0.75, "succeeded"]


async def test_a_job_that_runs_again_tells_it(admit, listen, connect_worker, ended):
    worker = connect_worker(lease_ms=100)
    (job,) = await admit()
    events = listen(job)
    await asyncio.sleep(0.05)
    for _ in range(2):
        worker.claim("w", "cpu", block_ms=0)
        await asyncio.sleep(0.15)
        worker.sweep()
        await asyncio.sleep(0.05)
    worker.finish(worker.claim("w", "cpu").lease, [ended(job)])
    assert told(await events) == ["queued", "running", "queued", "running", "queued", "succeeded"]


@pytest.mark.parametrize(
    "after",
    [
        "",
        "nonsense",
        "1.running.",
        "1.running.x-y",
        "....",
        "1.running.1-2-3",
        "1.running." + "9" * 40,
        "1.running.\u00b2-1",
    ],
)
async def test_an_unreadable_place_begins_at_the_beginning(admit, listen, take, worker, ended, after):
    (job,) = await admit()
    await run(job, take, worker, ended)
    assert told(await listen(job, after)) == [0.25, 0.5, 0.75, "succeeded"]


async def test_an_unknown_job_has_no_events(listen):
    assert await listen("nowhere") == []


async def test_a_tiny_job_leaves_no_stream(admit, take, worker, ended, keys):
    (job,) = await admit()
    worker.finish(take().lease, [ended(job)])
    assert keys("progress:") == []


async def test_progress_is_kept_for_as_long_as_the_record(admit, take, worker, redis, keys):
    (job,) = await admit()
    worker.progress(take().lease, job, 0.5)
    assert [0 < redis.ttl(key) <= 86_400 for key in keys("progress:")] == [True]


async def test_progress_shows_in_the_record(admit, take, worker, service):
    (job,) = await admit()
    assert worker.progress(take().lease, job, 0.123456)
    assert (await service.record(job)).progress == 0.1235


async def test_old_progress_is_dropped_not_kept_for_ever(admit, take, worker, redis, keys):
    (job,) = await admit()
    lease = take().lease
    for n in range(1000):
        worker.progress(lease, job, n / 1000)
    (key,) = keys("progress:")
    assert redis.xlen(key) < 400
