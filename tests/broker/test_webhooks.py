"""Events of webhooks: queued by the script that ends a job or a batch, taken under leases, kept until settled."""

import asyncio
import time

import pytest

from broker.files import Part, job_id
from broker.webhooks import Outcome, Tries

ALL = [f"job.{state}" for state in ("succeeded", "failed", "cancelled", "expired", "dead")] + [
    "batch.completed",
    "batch.completed_with_errors",
    "batch.cancelled",
]
LEASE_MS = 60_000


@pytest.fixture
def hooks(service):
    return service.webhooks


@pytest.fixture
async def endpoint(hooks):
    await hooks.put("we_1", "default", 1, ALL)
    return "we_1"


@pytest.fixture
def waiting(hooks):
    """The events that wait for an endpoint."""

    async def read(endpoint="we_1"):
        return sorted(message.event for message in (await hooks.state(endpoint)).messages)

    return read


@pytest.fixture
def finish(take, worker, ended):
    def make(state="succeeded"):
        claim = take()
        finished = [ended(job.id, state) for job in claim.jobs]
        return claim, [worker.finish(claim.lease, finished) for _ in range(2)]

    return make


@pytest.mark.parametrize("state", ["succeeded", "failed", "cancelled", "dead"])
async def test_the_end_of_a_job_queues_one_event_though_the_script_is_sent_twice(
    state, hooks, endpoint, admit, finish, waiting
):
    (job,) = await admit()
    finish(state)
    assert await waiting() == [f"job.{state}"]
    (message,) = (await hooks.state(endpoint)).messages
    assert (message.subject, message.kind) == (job, "gram")
    assert message.id.startswith(f"msg_{job}_")


async def test_a_job_cancelled_in_the_queue_queues_an_event(endpoint, service, admit, waiting):
    (job,) = await admit()
    for _ in range(2):
        await service.cancel(job)
    assert await waiting() == ["job.cancelled"]


async def test_a_job_that_is_tried_again_tells_of_each_end(endpoint, service, admit, finish, waiting):
    (job,) = await admit()
    finish("failed")
    await service.retry(job)
    finish()
    assert await waiting() == ["job.failed", "job.succeeded"]


async def test_only_events_that_were_asked_for_are_queued_and_only_for_the_tenant(hooks, admit, finish, waiting):
    await hooks.put("we_1", "default", 1, ["job.failed"])
    await hooks.put("we_2", "other", 1, ALL)
    await admit()
    finish()
    assert await waiting("we_1") == await waiting("we_2") == []


@pytest.mark.parametrize(
    ("states", "event"),
    [(["succeeded"] * 3, "batch.completed"), (["succeeded", "failed", "succeeded"], "batch.completed_with_errors")],
)
async def test_a_batch_tells_of_its_end_and_its_jobs_do_not(
    states, event, endpoint, service, submission, take, worker, ended, waiting
):
    await service.files.open("f" * 32, 3, "print", None)
    jobs = [submission(id=job_id("f" * 32, n), custom_id=str(n)) for n in range(3)]
    await service.admit(jobs, Part("f" * 32, 0, 10))
    claim = take()
    worker.finish(claim.lease, [ended(job.id, state) for job, state in zip(jobs[:2], states[:2], strict=True)])
    assert await waiting() == []
    worker.finish(claim.lease, [ended(jobs[2].id, states[2])])
    assert await waiting() == [event]


async def test_a_cancelled_batch_says_so(endpoint, service, submission, waiting):
    await service.files.open("f" * 32, 1, "print", None)
    await service.files.stop("f" * 32)
    await service.admit([submission(id=job_id("f" * 32, 0), custom_id="a")], Part("f" * 32, 0, 10))
    assert await waiting() == ["batch.cancelled"]


async def test_an_endpoint_is_leased_to_one_process_and_taken_over_when_that_dies(hooks, endpoint, admit, finish):
    await admit(3)
    finish()
    taken = await hooks.take(100, 8)
    assert (taken.endpoint, taken.tenant, taken.version, len(taken.messages)) == (endpoint, "default", 1, 3)
    await admit()
    finish()
    assert await hooks.take(100, 8) is None, "an event that comes meanwhile must not break the lease"
    await asyncio.sleep(0.12)
    again = await hooks.take(LEASE_MS, 8)
    assert len(again.messages) == 4
    await hooks.rest(taken)  # it was dead: this must not end the lease of the other
    assert await hooks.take(LEASE_MS, 8) is None
    await hooks.rest(again)
    assert len((await hooks.take(LEASE_MS, 8)).messages) == 4


async def test_what_was_settled_is_gone_and_settling_it_again_changes_nothing(hooks, endpoint, admit, finish):
    await admit(2)
    finish()
    taken = await hooks.take(LEASE_MS, 8)
    first, second = taken.messages
    for _ in range(2):
        await hooks.settle(endpoint, first.id, Outcome.DELIVERED, Tries(attempts=1, status=204, outcome="delivered"))
        await hooks.settle(endpoint, second.id, Outcome.ABANDONED, Tries(attempts=10, reason="no", outcome="abandoned"))
    await hooks.settle(endpoint, first.id, Outcome.FAILED, Tries(attempts=2), 0)  # of a process that came too late
    await hooks.rest(taken)
    state = await hooks.state(endpoint)
    assert (state.waiting, state.delivered, state.abandoned) == (0, 1, 1)
    assert [(message.id, message.tries.outcome) for message in state.messages] == [
        (second.id, "abandoned"),
        (first.id, "delivered"),
    ]
    assert await hooks.take(LEASE_MS, 8) is None
    depth = await hooks.depth()
    assert (depth.waiting, depth.undelivered) == (0, 1)


async def test_a_failed_delivery_is_due_later_and_its_endpoint_gets_one_at_a_time(hooks, endpoint, admit, finish):
    await admit(3)
    finish()
    taken = await hooks.take(LEASE_MS, 8)
    failed = taken.messages[0]
    await hooks.settle(endpoint, failed.id, Outcome.FAILED, Tries(attempts=1, status=500), 60_000)
    await hooks.rest(taken)
    probe = await hooks.take(LEASE_MS, 8)
    assert len(probe.messages) == 1
    assert probe.messages[0].id != failed.id
    assert abs(probe.failing_since_ms - time.time() * 1000) < 5_000
    assert (await hooks.depth()).failing == 1
    await hooks.settle(endpoint, probe.messages[0].id, Outcome.DELIVERED, Tries(attempts=1))
    await hooks.rest(probe)
    assert [len(one.messages) for one in [await hooks.take(LEASE_MS, 8)]] == [1], "the third"
    state = await hooks.state(endpoint)
    assert state.failing_since_ms is None
    assert {message.tries.status for message in state.messages if message.id == failed.id} == {500}


async def test_an_endpoint_with_too_many_waiting_drops_events_and_counts_them(
    hooks, endpoint, admit, finish, redis, namespace
):
    hook = f"{{{namespace}}}:hook:{endpoint}"
    redis.zadd(f"{hook}:due", {f"msg_{n}": 4e12 for n in range(10_000)})
    await admit()
    finish()
    assert redis.hget(hook, "dropped") == "1"
    assert redis.zcard(f"{hook}:due") == 10_000
    assert await hooks.test(endpoint, "webhook.test", "webhook") is None


async def test_an_older_version_does_not_undo_a_newer_one(hooks, admit, finish, waiting):
    await hooks.put("we_1", "default", 2, [])
    await hooks.put("we_1", "default", 1, ALL)
    await admit()
    finish()
    assert await waiting() == []


async def test_disabling_gives_up_what_waits_and_removing_leaves_nothing(hooks, endpoint, admit, finish, keys):
    await admit(2)
    finish()
    await hooks.put(endpoint, "default", 2, [])
    state = await hooks.state(endpoint)
    assert (state.waiting, state.abandoned) == (0, 2)
    assert (await hooks.depth()).waiting == 0
    assert await hooks.take(LEASE_MS, 8) is None
    await hooks.remove(endpoint, "default")
    assert keys("hook") == []


async def test_the_oldest_delivery_that_is_due_is_known(hooks, endpoint, admit, finish):
    assert (await hooks.depth()).oldest_ms == 0
    await admit()
    finish()
    await asyncio.sleep(0.05)
    depth = await hooks.depth()
    assert depth.waiting == 1
    assert 50 <= depth.oldest_ms < 5_000
