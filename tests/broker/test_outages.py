"""Redis away, restarted, emptied, full or unsuitable: nothing accepted is lost, and everything goes on by itself."""

import asyncio
import logging
import signal
import time

import pytest

from broker import pipe
from broker.faults import UnsuitableRedis, check_info
from broker.records import Admitted
from mercer.errors import Unavailable


@pytest.fixture
def crash(own_valkey):
    def kill():
        own_valkey.process.kill()
        own_valkey.process.wait()

    return kill


@pytest.fixture
def brokers(own_valkey, connect_service, connect_worker):
    return connect_service(own_valkey.url), connect_worker(own_valkey.url)


async def test_no_job_is_lost_when_redis_is_killed_and_restarted(brokers, own_valkey, crash, submission, ended):
    service, worker = brokers
    jobs = [job.id for job in await service.admit([submission(f"gram:{n % 3}") for n in range(300)])]
    done = worker.claim("w", "cpu", max_jobs=50)
    assert worker.finish(done.lease, [ended(job.id) for job in done.jobs]) == {job.id for job in done.jobs}
    held = worker.claim("w", "cpu", max_jobs=50)
    crash()
    own_valkey.start()
    assert await service.depth() == (200, 50)
    assert worker.renew(held.lease).held
    while held:
        assert worker.finish(held.lease, [ended(job.id) for job in held.jobs]) == {job.id for job in held.jobs}
        held = worker.claim("w", "cpu", block_ms=0)
    assert {str(record.state) for record in await service.records(jobs)} == {"succeeded"}


async def test_a_restart_is_ridden_out_by_those_who_ask_meanwhile(brokers, own_valkey, crash, submission):
    service, worker = brokers
    await service.fault()
    crash()
    job = submission()
    asking = asyncio.create_task(service.admit([job]))
    await asyncio.sleep(0.05)
    await asyncio.to_thread(own_valkey.start)
    assert await asking == [Admitted(job.id, replayed=False)]
    assert [job.id for job in worker.claim("w", "cpu").jobs] == [job.id]


async def test_a_service_without_redis_says_so_and_recovers(brokers, own_valkey, crash, submission):
    service, _ = brokers
    crash()
    for ask in (service.fault(), service.admit([submission()]), service.record("x"), service.wait(["x"], 1)):
        with pytest.raises(Unavailable, match="does not answer") as caught:
            await ask
        assert caught.value.retry_after_s == 1
    own_valkey.start()
    assert len(await service.admit([submission()])) == 1


async def test_a_worker_without_redis_says_so_and_recovers(brokers, own_valkey, crash, submission):
    service, worker = brokers
    crash()
    for ask in (lambda: worker.claim("w", "cpu"), lambda: worker.renew("l"), worker.sweep):
        with pytest.raises(Unavailable, match="does not answer"):
            ask()
    own_valkey.start()
    await service.admit([submission()])
    assert len(worker.claim("w", "cpu").jobs) == 1


async def test_a_worker_that_sleeps_when_redis_dies_hears_of_it(brokers, crash):
    _, worker = brokers
    sleeping = asyncio.create_task(asyncio.to_thread(worker.claim, "w", "cpu", block_ms=5000))
    await asyncio.sleep(0.2)
    start = time.monotonic()
    crash()
    with pytest.raises(Unavailable):
        await sleeping
    assert time.monotonic() - start < 3


async def test_a_wait_outlives_a_restart(brokers, own_valkey, crash, submission, ended):
    service, worker = brokers
    (job,) = await service.admit([submission()])
    waiting = asyncio.create_task(service.wait([job.id], 10))
    await asyncio.sleep(0.1)
    crash()
    await asyncio.to_thread(own_valkey.start)
    worker.finish(worker.claim("w", "cpu").lease, [ended(job.id)])
    assert await waiting == {job.id}


async def test_scripts_that_the_server_forgot_are_taught_again(service, worker, submission, ended, redis):
    for step in range(3):
        redis.script_flush()
        (job,) = await service.admit([submission()])
        redis.script_flush()
        claim = worker.claim("w", "cpu", block_ms=0)
        redis.script_flush()
        assert worker.finish(claim.lease, [ended(job.id)]) == {job.id}, step


async def test_many_callers_at_once_teach_a_forgotten_script(service, submission, redis):
    await service.fault()
    redis.script_flush()
    await asyncio.gather(*(service.admit([submission()]) for _ in range(50)))
    assert await service.depth() == (50, 0)


async def test_flushall_while_jobs_run_is_a_fresh_start(brokers, own_redis, submission, ended):
    service, worker = brokers
    await service.admit([submission() for _ in range(5)])
    stale = worker.claim("w", "cpu", max_jobs=2)
    own_redis.flushall()
    assert worker.finish(stale.lease, [ended(job.id) for job in stale.jobs]) == set()
    assert not worker.renew(stale.lease).held
    assert worker.release(stale.lease, [job.id for job in stale.jobs]) == set()
    assert worker.sweep() == []
    assert worker.claim("w", "cpu", block_ms=0) is None
    (job,) = await service.admit([submission()])
    claim = worker.claim("w", "cpu", block_ms=0)
    assert worker.finish(claim.lease, [ended(job.id)]) == {job.id}
    assert await service.depth() == (0, 0)


async def test_a_server_out_of_memory_admits_nothing_and_answers_reads(brokers, own_redis, submission):
    service, _ = brokers
    (job,) = await service.admit([submission()])
    own_redis.config_set("maxmemory", 1)
    with pytest.raises(Unavailable, match="no memory left"):
        await service.admit([submission()])
    assert (await service.record(job.id)).state == "queued"
    own_redis.config_set("maxmemory", 0)
    await service.admit([submission()])
    assert await service.depth() == (2, 0)


async def test_a_caller_that_gives_up_leaves_the_connection_in_order(service, admit):
    jobs = await admit(20)
    for job in jobs:
        asking = asyncio.create_task(service.record(job))
        await asyncio.sleep(0)
        asking.cancel()
        await asyncio.gather(asking, return_exceptions=True)
    assert [record.id for record in await asyncio.gather(*map(service.record, jobs))] == jobs


async def test_a_fault_of_one_caller_is_no_fault_of_another(service, admit):
    (job,) = await admit()
    wrong, right = await asyncio.gather(
        service._pipe.command("XRANGE", "x", "not-an-id", "+"), service.record(job), return_exceptions=True
    )
    assert ("Invalid stream ID" in str(wrong), right.id) == (True, job)


async def test_a_closed_service_fails_those_who_still_ask(connect_service, admit):
    service = connect_service()
    await service.close()
    with pytest.raises(Unavailable, match="stopping"):
        await service.fault()


@pytest.mark.parametrize("policy", ["allkeys-lru", "volatile-ttl"])
async def test_a_server_that_evicts_is_refused(own_valkey, own_redis, connect_service, connect_worker, policy):
    own_redis.config_set("maxmemory", 10**9)
    own_redis.config_set("maxmemory-policy", policy)
    for connect in (connect_service, connect_worker):
        with pytest.raises(UnsuitableRedis, match=f"must be noeviction, it is {policy}"):
            connect(own_valkey.url)


async def test_an_evicting_policy_without_a_limit_evicts_nothing_and_is_accepted(
    own_valkey, own_redis, connect_service
):
    own_redis.config_set("maxmemory-policy", "allkeys-lru", "maxmemory", 0)
    await connect_service(own_valkey.url).fault()


async def test_a_server_that_forgets_at_a_restart_is_told_of(own_valkey, own_redis, connect_service, caplog):
    own_redis.config_set("appendonly", "no")
    with caplog.at_level(logging.WARNING):
        connect_service(own_valkey.url)
    assert "appendonly is off" in caplog.text


async def test_a_durable_server_is_accepted_without_a_word(connect_service, caplog):
    connect_service()
    assert caplog.text == ""


def test_an_old_server_is_refused():
    with pytest.raises(UnsuitableRedis, match=r"this server speaks 6\.2\.14"):
        check_info({"redis_version": "6.2.14", "maxmemory": 0, "maxmemory_policy": "noeviction", "aof_enabled": 1})


async def test_a_server_that_does_not_answer_is_given_up_after_one_timeout(own_valkey, connect_service, monkeypatch):
    monkeypatch.setattr(pipe, "SOCKET_TIMEOUT_S", 0.3)
    service = connect_service(own_valkey.url)
    await service.fault()
    own_valkey.process.send_signal(signal.SIGSTOP)
    start = time.monotonic()
    with pytest.raises(Unavailable, match="does not answer"):
        await service.fault()
    assert time.monotonic() - start < 0.6
    own_valkey.process.send_signal(signal.SIGCONT)
    await service.fault()


async def test_connecting_to_nobody_is_unavailable(connect_service, tmp_path):
    with pytest.raises(Unavailable, match="does not answer"):
        connect_service(f"unix://{tmp_path}/nobody.sock")
