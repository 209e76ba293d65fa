"""Who is served when: the priorities, of which none starves, then the tenants, each its share, then the oldest."""

import asyncio
from collections import Counter

import pytest

from mercer.jobs import Priority

HIGH, NORMAL, LOW = Priority


@pytest.fixture
def serve(take, worker, ended):
    """Runs so many batches and answers what each was of: its priority or its tenant."""

    def run(batches, of="tenant", **options):
        served = []
        for _ in range(batches):
            claim = take(**options)
            served.append(claim.jobs[0].tenant if of == "tenant" else claim.batch_key)
            worker.finish(claim.lease, [ended(job.id) for job in claim.jobs])
        return served

    return run


async def test_a_higher_priority_goes_first_whoever_came_first(admit, serve):
    for priority in (LOW, NORMAL, HIGH):
        await admit(batch_key=priority, priority=priority)
    assert serve(3, of="priority") == ["high", "normal", "low"]


async def test_jobs_of_two_priorities_share_no_batch(admit, take):
    await admit(priority=HIGH)
    await admit(priority=LOW)
    assert [len(take().jobs) for _ in range(2)] == [1, 1]


async def test_when_all_are_busy_the_lowest_has_a_tenth_and_nobody_starves(admit, serve):
    for priority in Priority:
        await admit(200, batch_key=priority, priority=priority)
    shares = Counter(serve(100, of="priority", max_jobs=1))
    assert shares == {"high": 80, "normal": 10, "low": 10}


async def test_when_two_are_busy_the_lower_has_a_tenth(admit, serve):
    for priority in (NORMAL, LOW):
        await admit(200, batch_key=priority, priority=priority)
    shares = Counter(serve(90, of="priority", max_jobs=1))
    assert shares == {"normal": 80, "low": 10}


async def test_a_high_job_that_comes_now_and_then_is_always_next(admit, serve):
    for priority in (NORMAL, LOW):
        await admit(200, batch_key=priority, priority=priority)
    for between in [*range(12), 9, 9]:
        serve(between, of="priority", max_jobs=1)
        await admit(batch_key="high", priority=HIGH)
        assert serve(1, of="priority", max_jobs=1) == ["high"]


async def test_high_jobs_alone_save_up_no_turns_for_others(admit, serve):
    await admit(20, batch_key="high", priority=HIGH)
    serve(15, of="priority", max_jobs=1)
    await admit(20, batch_key="low", priority=LOW)
    assert serve(5, of="priority", max_jobs=1) == ["high"] * 4 + ["low"]


async def test_a_tenant_that_comes_second_waits_for_no_more_than_the_batch_that_runs(admit, serve, take):
    await admit(500, tenant="a")
    running = take()
    await admit(10, tenant="b")
    assert serve(3) == ["b", "a", "a"]
    assert {job.tenant for job in running.jobs} == {"a"}


async def test_tenants_that_wait_are_served_alike(admit, serve):
    for tenant in "abc":
        await admit(300, tenant=tenant)
    assert Counter(serve(30, max_jobs=10)) == {"a": 10, "b": 10, "c": 10}


async def test_what_counts_is_the_work_and_not_the_number_of_jobs(admit, serve):
    await admit(40, tenant="large", flops=30_000_000)
    await admit(40, tenant="small", flops=0)
    shares = Counter(serve(33, max_jobs=1))
    assert shares["small"] >= 30, "31 small jobs cost as much as one large one"


async def test_a_tenant_saves_up_nothing_while_it_has_nothing_to_do(admit, serve):
    await admit(60, tenant="busy")
    await admit(1, tenant="idle")
    serve(51, max_jobs=1)
    await admit(60, tenant="idle")
    assert Counter(serve(10, max_jobs=1)) == {"busy": 5, "idle": 5}


async def test_a_tenant_gains_nothing_by_coming_anew(admit, serve):
    await admit(50, tenant="steady")
    for _ in range(10):
        await admit(1, tenant="sly")
        assert serve(2, max_jobs=1).count("sly") == 1
        await admit(1, tenant="sly")


async def test_a_tenants_many_keys_are_one_share(service, submission, serve):
    await service.admit([submission(f"key {n}", tenant="many") for n in range(50)])
    await service.admit([submission("one key", tenant="few") for _ in range(50)])
    assert Counter(serve(20, max_jobs=1)) == {"many": 10, "few": 10}


async def test_batches_never_mix_tenants(service, submission, take):
    await service.admit([submission(tenant=tenant) for tenant in "abab"])
    assert [{job.tenant for job in take().jobs} for _ in range(2)] == [{"a"}, {"b"}]


async def test_within_a_tenant_the_oldest_key_goes_first(service, submission, take):
    await service.admit([submission("late"), submission("early")])
    claims = [take().batch_key for _ in range(2)]
    assert sorted(claims) == ["early", "late"]


@pytest.mark.parametrize("how", ["release", "cancel", "retry"])
async def test_a_job_keeps_its_priority_and_its_tenant(service, admit, take, worker, how):
    (job,) = await admit(tenant="a", priority=HIGH)
    if how == "release":
        worker.release(take().lease, [job])
    else:
        await service.cancel(job, "a")
        await service.retry(job, "a")
    record = await service.record(job, "a")
    assert (record.state, record.priority, record.tenant) == ("queued", "high", "a")
    assert (await service.queue_depth()).waiting == {"high": 1, "normal": 0, "low": 0}
    assert take().jobs[0].tenant == "a"


async def test_the_oldest_of_all_is_the_age_of_the_queue(service, admit, take):
    await admit(tenant="a", priority=LOW)
    await asyncio.sleep(0.05)
    await admit(tenant="b", priority=HIGH)
    assert (await service.queue_depth()).oldest_ms >= 50
    take()
    assert (await service.queue_depth()).oldest_ms >= 50
    take()
    assert (await service.queue_depth()).oldest_ms == 0
