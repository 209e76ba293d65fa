"""Admission: all or none, once only, and bounded."""

import asyncio

import pytest

from broker.records import Admitted
from mercer.errors import IdempotencyConflict, QueueFull
from mercer.jobs import State


async def test_an_admitted_job_is_queued(service, admit):
    (job,) = await admit()
    record = await service.record(job)
    assert (record.state, record.attempt, record.done, await service.depth()) == (State.QUEUED, 0, False, (1, 0))


async def test_many_jobs_are_admitted_in_one_call_in_order(service, submission):
    jobs = [submission(f"gram:{i % 3}") for i in range(1000)]
    admitted = await service.admit(jobs)
    assert [job.id for job in admitted] == [job.id for job in jobs]
    assert await service.depth() == (1000, 0)


async def test_nothing_is_admitted_when_there_is_nothing(service):
    assert await service.admit([]) == []


async def test_fifty_parallel_admissions_with_one_key_make_one_job(service, submission):
    jobs = [submission(idempotency_key="k") for _ in range(50)]
    answers = [answer for (answer,) in await asyncio.gather(*(service.admit([job]) for job in jobs))]
    assert len({answer.id for answer in answers}) == 1
    assert [answer.replayed for answer in answers].count(False) == 1
    assert await service.depth() == (1, 0)


async def test_parallel_admissions_of_several_processes_make_one_job(connect_service, submission):
    services = [connect_service() for _ in range(8)]
    answers = await asyncio.gather(*(service.admit([submission(idempotency_key="k")]) for service in services))
    assert len({answer.id for (answer,) in answers}) == 1


async def test_a_key_answers_with_its_job_also_after_that_has_ended(service, submission, take, worker, ended):
    (first,) = await service.admit([submission(idempotency_key="k")])
    worker.finish(take().lease, [ended(first.id)])
    assert await service.admit([submission(idempotency_key="k")]) == [Admitted(first.id, replayed=True)]


async def test_a_key_used_for_another_request_is_refused_and_nothing_is_queued(service, submission):
    await service.admit([submission(idempotency_key="k")])
    other = [submission(), submission(idempotency_key="k", fingerprint="other")]
    with pytest.raises(IdempotencyConflict, match="'k' was used for another request"):
        await service.admit(other)
    assert await service.depth() == (1, 0)
    assert await service.record(other[0].id) is None


async def test_one_key_twice_in_one_call_is_one_job(service, submission):
    jobs = [submission(idempotency_key="k"), submission(idempotency_key="k")]
    assert await service.admit(jobs) == [Admitted(jobs[0].id, replayed=False), Admitted(jobs[0].id, replayed=True)]


async def test_one_key_for_two_requests_in_one_call_is_refused(service, submission):
    jobs = [submission(idempotency_key="k"), submission(idempotency_key="k", fingerprint="other")]
    with pytest.raises(IdempotencyConflict):
        await service.admit(jobs)
    assert await service.depth() == (0, 0)


async def test_a_key_is_forgotten_after_its_time(connect_service, submission):
    service = connect_service(idempotency_ttl_s=1)
    first = await service.admit([submission(idempotency_key="k")])
    await asyncio.sleep(1.1)
    assert (await service.admit([submission(idempotency_key="k", fingerprint="other")])) != first
    assert await service.depth() == (2, 0)


@pytest.mark.parametrize("key", [None, "k"])
async def test_an_admission_whose_reply_was_lost_is_not_doubled(connect_service, proxy, submission, key):
    service = connect_service(proxy.url)
    await service.fault()
    proxy.lose_next_reply()
    job = submission(idempotency_key=key)
    assert await service.admit([job]) == [Admitted(job.id, replayed=False)]
    assert (proxy.lost, await service.depth()) == (1, (1, 0))


async def test_a_full_queue_says_when_to_try_again(connect_service, submission):
    service = connect_service(max_queued=3)
    await service.admit([submission() for _ in range(2)])
    with pytest.raises(QueueFull, match="2 jobs wait already, and at most 3 may") as caught:
        await service.admit([submission() for _ in range(2)])
    assert caught.value.retry_after_s == 60
    assert await service.depth() == (2, 0)


async def test_retry_after_follows_the_rate_at_which_jobs_end(connect_service, connect_worker, submission, ended):
    service, worker = connect_service(max_queued=30), connect_worker()
    jobs = await service.admit([submission() for _ in range(30)])
    for _ in range(2):  # ten jobs in the first second make the rate
        claim = worker.claim("w", "cpu", max_jobs=10)
        worker.finish(claim.lease, [ended(job.id) for job in claim.jobs])
        await asyncio.sleep(1.1)
    await service.admit([submission() for _ in range(20)])
    with pytest.raises(QueueFull) as caught:
        await service.admit([submission()])
    assert 2 <= caught.value.retry_after_s <= 4
    assert len(jobs) == 30


async def test_running_jobs_take_no_room_in_the_queue(connect_service, submission, take):
    service = connect_service(max_queued=1)
    await service.admit([submission()])
    take()
    await service.admit([submission()])
    assert await service.depth() == (1, 1)


async def test_a_replay_is_answered_by_a_full_queue(connect_service, submission):
    service = connect_service(max_queued=1)
    (first,) = await service.admit([submission(idempotency_key="k")])
    assert await service.admit([submission(idempotency_key="k")]) == [Admitted(first.id, replayed=True)]


async def test_queue_positions_count_from_zero(service, admit, take):
    ids = await admit(3)
    assert [record.queue_position for record in await service.records(ids)] == [0, 1, 2]
    take(max_jobs=1)
    assert [record.queue_position for record in await service.records(ids)] == [None, 0, 1]


async def test_an_unknown_job_has_no_record(service, admit):
    (known,) = await admit()
    records = await service.records(["nowhere", known])
    assert (records[0], records[1].id) == (None, known)
