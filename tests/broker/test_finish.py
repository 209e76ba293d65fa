"""The end of a job: once, by whoever holds its lease, visible at once and for its time to live."""

import asyncio
import json

import pytest

from mercer.jobs import TERMINAL


async def test_a_finished_job_has_its_result_and_timings(service, admit, take, worker, ended):
    (job,) = await admit()
    claim = take()
    assert worker.finish(claim.lease, [ended(job, device="cuda:0", batch_size=7)]) == {job}
    record = await service.record(job)
    assert (record.state, record.result, record.error, record.progress) == ("succeeded", b'{"n":1}', None, 1.0)
    assert (record.device, record.batch_size, record.finished_ms >= record.started_ms) == ("cuda:0", 7, True)
    assert record.timings == {"queued_ms": record.started_ms - record.created_ms, "compute_ms": 1.5}


@pytest.mark.parametrize("state", sorted(TERMINAL - {"succeeded"}))
async def test_a_job_may_end_without_success(service, admit, take, worker, ended, state):
    (job,) = await admit()
    worker.finish(take().lease, [ended(job, state, error=b'{"title":"no"}')])
    record = await service.record(job)
    assert (record.state, record.result, record.error) == (state, None, b'{"title":"no"}')


async def test_jobs_of_a_batch_end_apart(service, admit, take, worker, ended):
    jobs = await admit(3)
    lease = take().lease
    assert worker.finish(lease, [ended(jobs[0])]) == {jobs[0]}
    assert await service.depth() == (0, 2)
    assert worker.finish(lease, [ended(jobs[1], "failed"), ended(jobs[2])]) == set(jobs[1:])
    assert [record.state for record in await service.records(jobs)] == ["succeeded", "failed", "succeeded"]


async def test_a_lease_ends_with_its_last_job(admit, take, worker, ended, keys):
    jobs = await admit(2)
    lease = take().lease
    worker.finish(lease, [ended(jobs[0])])
    assert worker.renew(lease).held
    worker.finish(lease, [ended(jobs[1])])
    assert not worker.renew(lease).held
    assert keys("lease") == []


async def test_a_zombies_finish_is_refused_and_changes_nothing(service, admit, connect_worker, ended):
    zombie, heir = connect_worker(lease_ms=1), connect_worker()
    (job,) = await admit()
    late = zombie.claim("zombie", "cpu")
    await asyncio.sleep(0.01)
    assert heir.sweep() == [job]
    claim = heir.claim("heir", "cpu")
    assert zombie.finish(late.lease, [ended(job, result=b'"zombie"')]) == set()
    assert (await service.record(job)).state == "running"
    assert heir.finish(claim.lease, [ended(job, result=b'"heir"')]) == {job}
    assert zombie.finish(late.lease, [ended(job, result=b'"zombie"')]) == set()
    record = await service.record(job)
    assert (record.result, record.worker, record.attempt) == (b'"heir"', "heir", 2)


async def test_a_zombie_cannot_end_a_job_that_waits_again(service, admit, connect_worker, ended):
    zombie = connect_worker(lease_ms=1)
    (job,) = await admit()
    late = zombie.claim("zombie", "cpu")
    await asyncio.sleep(0.01)
    zombie.sweep()
    assert zombie.finish(late.lease, [ended(job)]) == set()
    assert not zombie.progress(late.lease, job, 0.5)
    assert (await service.record(job)).state == "queued"
    assert await service.depth() == (1, 0)


async def test_a_second_finish_never_changes_the_first(service, admit, take, worker, ended):
    (job,) = await admit()
    lease = take().lease
    worker.finish(lease, [ended(job)])
    worker.finish(lease, [ended(job, "failed", error=b"{}")])
    record = await service.record(job)
    assert (record.state, record.result) == ("succeeded", b'{"n":1}')
    assert await service.depth() == (0, 0)


async def test_a_finish_whose_reply_was_lost_is_accepted_once(service, admit, connect_worker, proxy, ended):
    worker = connect_worker(proxy.url)
    jobs = await admit(3)
    claim = worker.claim("w", "cpu")
    proxy.lose_next_reply()
    assert worker.finish(claim.lease, [ended(job) for job in jobs]) == set(jobs)
    assert (proxy.lost, await service.depth()) == (1, (0, 0))


async def test_finishing_a_job_of_somebody_else_is_refused(service, admit, take, worker, ended):
    first, second = await admit(2)
    lease, other = take(max_jobs=1).lease, take(max_jobs=1).lease
    assert worker.finish(lease, [ended(first), ended(second)]) == {first}
    assert worker.finish(other, [ended(second)]) == {second}


async def test_finishing_nothing_is_harmless(worker):
    assert worker.finish("nowhere", []) == set()


async def test_one_job_given_twice_counts_once(service, admit, take, worker, ended):
    (job,) = await admit()
    assert worker.finish(take().lease, [ended(job), ended(job)]) == {job}
    assert await service.depth() == (0, 0)


@pytest.mark.parametrize("state", ["succeeded", "failed", "dead"])
async def test_a_record_expires_after_its_time(service, admit, connect_worker, ended, state):
    worker = connect_worker(result_ttl_s=1)
    (job,) = await admit()
    worker.finish(worker.claim("w", "cpu").lease, [ended(job, state)])
    assert await service.record(job) is not None
    await asyncio.sleep(1.1)
    assert await service.record(job) is None


async def test_waiting_and_running_jobs_never_expire(admit, take, redis, keys):
    await admit(2)
    take(max_jobs=1)
    assert [redis.ttl(key) for key in keys("job:")] == [-1, -1]


async def test_a_success_keeps_no_spec_and_a_failure_does(admit, take, worker, ended, redis, keys):
    jobs = await admit(2)
    worker.finish(take().lease, [ended(jobs[0]), ended(jobs[1], "failed")])
    specs = {key.rpartition(":")[2]: redis.hget(key, "spec") for key in keys("job:")}
    assert (specs[jobs[0]], json.loads(specs[jobs[1]])) == ("", {"kind": "gram"})


async def test_results_are_stored_when_memory_is_full(
    own_valkey, own_redis, connect_service, connect_worker, submission, ended
):
    service, worker = connect_service(own_valkey.url), connect_worker(own_valkey.url)
    (job,) = await service.admit([submission()])
    own_redis.config_set("maxmemory", 1)
    claim = worker.claim("w", "cpu")
    assert worker.finish(claim.lease, [ended(job.id)]) == {job.id}
    assert (await service.record(job.id)).state == "succeeded"
