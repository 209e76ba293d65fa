"""Batches: like jobs together, the oldest first, within bounds, lingering only where it costs nobody."""

import asyncio
import threading
import time

import pytest

from broker.keys import tag


def ids(claim):
    return [job.id for job in claim.jobs]


async def test_a_claim_carries_what_the_worker_needs(service, submission, take):
    job = submission("gram:b", kind="gram", spec=b'{"kind":"gram","x":[[1.0]]}')
    await service.admit([job])
    claim = take()
    (claimed,) = claim.jobs
    assert (claim.batch_key, claimed.id, claimed.kind, claimed.spec) == ("gram:b", job.id, "gram", job.spec)
    record = await service.record(job.id)
    assert (claimed.attempt, claimed.created_ms, claim.claimed_ms) == (1, record.created_ms, record.started_ms)


async def test_a_jobs_trace_travels_with_it_through_every_delivery(service, submission, take, connect_worker):
    trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    await service.admit([submission(traceparent=trace), submission()])
    worker = connect_worker()
    first = worker.claim("w", "cpu", block_ms=0)
    worker.release(first.lease, ids(first))
    assert [[job.traceparent for job in claim.jobs] for claim in (first, take())] == [[trace, ""]] * 2


async def test_a_running_job_names_its_worker_and_device(service, admit, take):
    (job,) = await admit()
    take()
    record = await service.record(job)
    assert (record.state, record.worker, record.device, record.attempt) == ("running", "w", "cpu", 1)
    assert record.started_ms >= record.created_ms


async def test_each_job_is_claimed_once(admit, take):
    await admit(100)
    claimed = [job for _ in range(4) for job in ids(take(max_jobs=25))]
    assert len(set(claimed)) == 100
    assert take() is None


async def test_two_workers_never_claim_one_job(admit, connect_worker):
    await admit(200)
    claimed = []

    def drain(worker):
        while claim := worker.claim("w", "cpu", max_jobs=7, block_ms=0):
            claimed.extend(ids(claim))

    threads = [threading.Thread(target=drain, args=(connect_worker(),)) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(claimed) == len(set(claimed)) == 200


async def test_a_batch_has_one_key_only(service, submission, take):
    await service.admit([submission(key) for key in "abcabcabc"])
    claims = [take() for _ in range(3)]
    assert [(claim.batch_key, len(claim.jobs)) for claim in claims] == [("a", 3), ("b", 3), ("c", 3)]


async def test_256_queued_jobs_are_four_batches(admit, take):
    await admit(256)
    assert [len(take().jobs) for _ in range(4)] == [64] * 4


async def test_the_batch_key_whose_oldest_job_is_oldest_comes_first(admit, take):
    for key in "acb":
        await admit(batch_key=key)
        await asyncio.sleep(0.003)
    await admit(5, batch_key="b")
    assert [take().batch_key for _ in range(3)] == ["a", "c", "b"]


async def test_what_is_left_of_a_batch_key_queues_behind_older_ones(admit, take):
    await admit(2, batch_key="a")
    await asyncio.sleep(0.003)
    await admit(1, batch_key="b")
    await asyncio.sleep(0.003)
    await admit(2, batch_key="a")
    assert [take(max_jobs=2).batch_key for _ in range(3)] == ["a", "b", "a"]


@pytest.mark.parametrize("bound", ["bytes", "flops"])
async def test_a_batch_stays_within_its_budget(admit, take, bound):
    jobs = await admit(5, **{bound: 40})
    claims = [ids(take(**{f"max_{bound}": 100})) for _ in range(3)]
    assert [job for claim in claims for job in claim] == jobs
    assert list(map(len, claims)) == [2, 2, 1]


async def test_a_job_over_the_budget_comes_alone(admit, take):
    await admit(2, bytes=1000)
    assert [len(take(max_bytes=10).jobs) for _ in range(2)] == [1, 1]


async def test_a_job_flagged_alone_shares_no_batch(service, submission, take):
    jobs = [submission(alone=n == 1) for n in range(4)]
    await service.admit(jobs)
    assert [len(take().jobs) for _ in range(3)] == [1, 1, 2]


async def test_a_claim_without_work_ends_in_time(worker):
    start = time.monotonic()
    assert worker.claim("w", "cpu", block_ms=100) is None
    assert 0.09 < time.monotonic() - start < 1.0


async def test_a_worker_without_work_wakes_when_a_job_comes(worker, admit):
    waiting = asyncio.create_task(asyncio.to_thread(worker.claim, "w", "cpu", block_ms=5000))
    await asyncio.sleep(0.3)
    (job,) = await admit()
    start = time.monotonic()
    assert ids(await waiting) == [job]
    assert time.monotonic() - start < 0.5


@pytest.mark.parametrize("how", ["sweep", "retry", "release"])
async def test_a_worker_without_work_wakes_when_a_job_comes_back(connect_worker, service, admit, ended, how):
    worker, doomed = connect_worker(), connect_worker(lease_ms=1)
    (job,) = await admit()
    lease = doomed.claim("w", "cpu").lease
    if how == "retry":
        doomed.finish(lease, [ended(job, "failed")])
    waiting = asyncio.create_task(asyncio.to_thread(worker.claim, "w", "cpu", block_ms=5000))
    await asyncio.sleep(0.2)
    start = time.monotonic()
    if how == "retry":
        await service.retry(job)
    else:
        doomed.sweep() if how == "sweep" else doomed.release(lease, [job])
    assert ids(await waiting) == [job]
    assert time.monotonic() - start < 0.3


async def test_all_sleeping_workers_wake_for_work_of_several_keys(connect_worker, service, submission):
    workers = [connect_worker() for _ in range(3)]
    claims = [asyncio.create_task(asyncio.to_thread(w.claim, "w", "cpu", block_ms=5000)) for w in workers]
    await asyncio.sleep(0.3)
    start = time.monotonic()
    await service.admit([submission(key) for key in "abc"])
    assert {(await claim).batch_key for claim in claims} == {"a", "b", "c"}
    assert time.monotonic() - start < 0.5


async def test_a_lone_young_job_lingers(connect_worker, admit):
    worker = connect_worker(linger_ms=300)
    await admit()
    start = time.monotonic()
    assert worker.claim("w", "cpu", block_ms=2000) is not None
    assert 0.2 < time.monotonic() - start < 1.0


async def test_jobs_that_come_while_one_lingers_share_its_batch(connect_worker, admit):
    worker = connect_worker(linger_ms=300)
    await admit()
    claim = asyncio.create_task(asyncio.to_thread(worker.claim, "w", "cpu", block_ms=2000))
    await asyncio.sleep(0.05)
    await admit(4)
    assert len((await claim).jobs) == 5


async def test_a_full_batch_goes_at_once(connect_worker, admit):
    worker = connect_worker(linger_ms=10_000)
    await admit(4)
    assert len(worker.claim("w", "cpu", max_jobs=4, block_ms=0).jobs) == 4


async def test_a_batch_that_fills_while_it_lingers_goes_at_once(connect_worker, admit):
    worker = connect_worker(linger_ms=10_000)
    await admit()
    claim = asyncio.create_task(asyncio.to_thread(worker.claim, "w", "cpu", max_jobs=4, block_ms=5000))
    await asyncio.sleep(0.05)
    await admit(3)
    start = time.monotonic()
    assert len((await claim).jobs) == 4
    assert time.monotonic() - start < 0.5


async def test_nothing_lingers_while_other_work_waits(connect_worker, admit):
    worker = connect_worker(linger_ms=10_000)
    await admit(batch_key="a")
    await admit(batch_key="b")
    assert worker.claim("w", "cpu", block_ms=0).batch_key == "a"


async def test_a_claim_whose_reply_was_lost_is_answered_with_the_same_jobs(connect_worker, proxy, admit, service):
    jobs = await admit(3)
    worker = connect_worker(proxy.url)
    worker.sweep()
    proxy.lose_next_reply()
    claim = worker.claim("w", "cpu", block_ms=0)
    assert (proxy.lost, ids(claim), [job.attempt for job in claim.jobs]) == (1, jobs, [1, 1, 1])
    assert await service.depth() == (0, 3)


async def test_a_stream_deleted_by_hand_stops_nobody(service, admit, take, redis, namespace):
    await admit(2, batch_key="a")
    redis.delete(f"{tag(namespace)}:queue:1:default:a")
    await admit(batch_key="b")
    assert take().batch_key == "b"
    assert take() is None
    assert await service.depth() == (0, 1)


async def test_a_record_deleted_by_hand_harms_no_batch_mate(admit, take, worker, ended, redis, namespace, keys):
    jobs = await admit(3)
    redis.delete(f"{tag(namespace)}:job:{jobs[1]}")
    claim = take()
    assert ids(claim) == [jobs[0], jobs[2]]
    worker.finish(claim.lease, [ended(job) for job in ids(claim)])
    assert keys("queue:") == []
