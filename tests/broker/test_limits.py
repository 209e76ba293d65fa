"""Back-pressure: each tenant has its part of the queue, and new jobs are refused before the memory is full."""

import asyncio

import pytest

from broker.limits import Limits
from broker.records import Finished
from broker.service_broker import ServiceBroker
from broker.worker_broker import WorkerBroker
from mercer.errors import MemoryFull, QueueFull, TenantQueueFull


async def test_a_tenant_at_its_bound_is_refused_and_others_are_not(connect_service, submission):
    service = connect_service(max_queued=10, max_tenant_queued=3)
    await service.admit([submission(tenant="a") for _ in range(3)])
    with pytest.raises(TenantQueueFull, match="3 jobs of this tenant wait already, and at most 3 may") as refused:
        await service.admit([submission(tenant="a")])
    assert refused.value.retry_after_s == 60
    await service.admit([submission(tenant="b") for _ in range(3)])
    assert await service.depth() == (6, 0)


async def test_the_bound_of_all_comes_first(connect_service, submission):
    service = connect_service(max_queued=3, max_tenant_queued=3)
    await service.admit([submission(tenant="a") for _ in range(3)])
    with pytest.raises(QueueFull, match="3 jobs wait already") as refused:
        await service.admit([submission(tenant="a")])
    assert type(refused.value) is QueueFull


async def test_a_tenants_waiting_jobs_count_whatever_their_priority_and_running_ones_do_not(
    connect_service, submission, take
):
    service = connect_service(max_tenant_queued=2)
    await service.admit([submission(tenant="a", priority="high"), submission(tenant="a", priority="low")])
    with pytest.raises(TenantQueueFull):
        await service.admit([submission(tenant="a")])
    take()
    await service.admit([submission(tenant="a")])


async def test_retry_after_follows_the_rate_at_which_the_tenants_own_jobs_end(
    connect_service, connect_worker, submission, ended
):
    service, worker = connect_service(max_tenant_queued=30), connect_worker()
    await service.admit([submission(tenant=tenant) for tenant in "ab" for _ in range(30)])
    for jobs in (2, 2, 1):
        claim = worker.claim("w", "cpu", max_jobs=jobs)
        await asyncio.sleep(0.55)
        worker.finish(claim.lease, [ended(job.id) for job in claim.jobs])
    waits = {}
    for tenant in "ab":
        with pytest.raises(TenantQueueFull) as refused:
            await service.admit([submission(tenant=tenant) for _ in range(30)])
        waits[tenant] = refused.value.retry_after_s
    assert all(1 < wait_s <= 60 for wait_s in waits.values())


async def test_a_file_finds_room_in_its_tenants_part_or_is_refused_whole(connect_service, submission):
    service = connect_service(max_tenant_queued=10)
    await service.admit([submission(tenant="a") for _ in range(5)])
    with pytest.raises(TenantQueueFull):
        await service.files.open("f", 6, "print", None, "a")
    assert await service.files.record("f", "a") is None
    await service.files.open("f", 5, "print", None, "a")
    await service.files.open("g", 10, "print", None, "b")


async def test_beyond_its_share_of_the_memory_nothing_is_admitted_and_what_is_there_finishes(
    own_valkey, own_redis, submission
):
    service, worker = ServiceBroker.connect(own_valkey.url), WorkerBroker.connect(own_valkey.url, linger_ms=0)
    await service.admit([submission()])
    claim = worker.claim("w", "cpu")
    own_redis.config_set("maxmemory", own_redis.info("memory")["used_memory"] + 1000)
    await service.look_at_memory()
    with pytest.raises(MemoryFull, match="up to 80%") as refused:
        await service.admit([submission()])
    assert refused.value.retry_after_s == 5
    with pytest.raises(MemoryFull):
        await service.files.open("f", 1, "print", None)
    own_redis.config_set("maxmemory", 1)
    result = Finished(id=claim.jobs[0].id, state="succeeded", result=b"{}", device="cpu", batch_size=1)
    assert worker.finish(claim.lease, [result]) == {claim.jobs[0].id}
    own_redis.config_set("maxmemory", 10**9)
    await service.look_at_memory()
    await service.admit([submission()])
    await service.close()
    worker.close()


def test_a_server_without_a_limit_is_never_full():
    limits = Limits(1, 1, 0.8)
    limits.check_memory()
    limits.note_memory({"used_memory": 10**12, "maxmemory": 0})
    limits.check_memory()


def test_the_embedded_server_bounds_its_memory_and_deletes_no_job(own_valkey, own_redis):
    settings = own_redis.config_get("maxmemory*")
    assert int(settings["maxmemory"]) >= 2**28
    assert settings["maxmemory-policy"] == "noeviction"
