"""Tenants: what belongs to one is to every other as if it were not there."""

import pytest

from mercer.errors import IdempotencyConflict


@pytest.fixture
def queued(service, submission):
    """Queues a job of a tenant and answers its id."""

    async def make(tenant="acme", **fields):
        (job,) = await service.admit([submission(tenant=tenant, **fields)])
        return job.id

    return make


@pytest.fixture
def opened(service, submission):
    """Begins a batch file of a tenant with one job in it."""

    async def make(file="f", tenant="acme", key=None, fingerprint="p"):
        return await service.files.open(file, 1, fingerprint, key, tenant)

    return make


OWNER_AND_FOREIGNER = pytest.mark.parametrize(("owner", "other"), [("acme", "default"), ("default", "acme")])


@OWNER_AND_FOREIGNER
async def test_a_foreign_job_is_unknown_and_stays_as_it_is(service, queued, owner, other):
    job = await queued(owner)
    assert await service.record(job, other) is None
    assert await service.cancel(job, other) is None
    assert await service.wait([job], 5, other) == {job}
    assert [event async for event in service.events(job, None, other)] == []
    record = await service.record(job, owner)
    assert (record.state, record.tenant) == ("queued", owner)


@OWNER_AND_FOREIGNER
async def test_a_foreign_job_is_not_tried_again(service, queued, owner, other):
    job = await queued(owner)
    await service.cancel(job, owner)
    assert await service.retry(job, other) is None
    assert (await service.record(job, owner)).state == "cancelled"
    assert (await service.retry(job, owner)).state == "queued"


async def test_each_tenant_lists_its_own_jobs(service, queued):
    jobs = {tenant: [await queued(tenant) for _ in range(2)] for tenant in ("default", "acme", "other")}
    for tenant, ids in jobs.items():
        records, _ = await service.page(None, 10, None, tenant)
        assert [record.id for record in records] == ids[::-1]


async def test_the_same_idempotency_key_of_another_tenant_is_another_key(service, queued):
    same = {"idempotency_key": "k", "fingerprint": "f"}
    first, second = await queued("acme", **same), await queued("default", **same)
    assert first != second
    assert [await queued("acme", **same), await queued("default", **same)] == [first, second]
    with pytest.raises(IdempotencyConflict):
        await queued("acme", idempotency_key="k", fingerprint="other")
    assert await queued("other", idempotency_key="k", fingerprint="other")


async def test_jobs_of_several_tenants_are_admitted_together(service, submission, take):
    jobs = [submission(tenant=tenant) for tenant in ("default", "acme", "other")]
    await service.admit(jobs)
    claimed = [job for _ in jobs for job in take().jobs]
    assert {(job.id, job.tenant) for job in claimed} == {(job.id, job.tenant) for job in jobs}


@OWNER_AND_FOREIGNER
async def test_a_foreign_batch_file_is_unknown_and_goes_on(service, opened, owner, other):
    await opened("f", owner)
    await service.files.stop("f", other)
    assert await service.files.record("f", other) is None
    assert await service.files.wait("f", 5, other) is None
    assert await service.files.page(None, 10, other) == ([], None)
    record = await service.files.record("f", owner)
    assert (record.tenant, record.stopped) == (owner, False)
    assert await service.files.page(None, 10, owner) == ([record], None)
    assert (await service.files.due(1000)).tenant == owner


async def test_a_batch_files_idempotency_key_is_its_tenants_own(service, opened):
    assert await opened("f", "acme", "k", "one") == "f"
    assert await service.files.known("k", "two", "default") is None
    assert await opened("g", "default", "k", "two") == "g"
    assert await service.files.known("k", "one", "acme") == "f"
    assert await opened("h", "acme", "k", "one") == "f"


async def test_what_was_queued_before_there_were_tenants_is_the_default_tenants(service, queued, redis, keys, take):
    job = await queued("default")
    redis.hdel(*keys("job:"), "tenant")
    assert (await service.record(job)).tenant == "default"
    assert await service.record(job, "acme") is None
    assert await service.cancel(job, "acme") is None
    assert [claimed.tenant for claimed in take().jobs] == ["default"]


async def test_the_index_of_a_tenant_without_records_goes(service, queued, connect_worker, redis, keys):
    job = await queued("acme")
    waiting = await queued("default")
    redis.delete(*(key for key in keys("job:") if key.endswith(job)))
    connect_worker(result_ttl_s=0).sweep()
    assert [key.rpartition("}:")[2] for key in keys("index")] == ["index"]
    assert await service.record(waiting)
