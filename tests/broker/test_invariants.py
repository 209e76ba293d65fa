"""Random histories: whatever happens in whatever order, the books balance and no job is lost or ended twice."""

import asyncio
import random
import uuid
from collections import Counter

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule, run_state_machine_as_test
from redis import Redis

from broker.keys import queue_name, tag
from broker.records import Finished, Submission
from broker.service_broker import ServiceBroker
from broker.worker_broker import WorkerBroker
from mercer.jobs import Priority, State

TENANTS = ("default", "other")
QUEUES = st.tuples(st.sampled_from(["a", "b:c"]), st.sampled_from(TENANTS), st.sampled_from(list(Priority)))
pick = st.integers(0, 10**6)


def queue_of(record):
    return queue_name(record.priority, record.tenant, record.batch_key)


class Queue(RuleBasedStateMachine):
    """A random history of a real queue; a test binds it to a server."""

    url = namespace = ""

    def __init__(self):
        super().__init__()
        self.loop = asyncio.new_event_loop()
        namespace = f"{self.namespace}-{uuid.uuid4().hex[:8]}"
        self.tag = tag(namespace)
        self.redis = Redis.from_url(self.url, decode_responses=True)
        self.service = self.loop.run_until_complete(self._connect(namespace))
        options = {"namespace": namespace, "linger_ms": 0, "max_deliveries": 3}
        self.worker = WorkerBroker.connect(self.url, **options)
        self.doomed = WorkerBroker.connect(self.url, **options, lease_ms=1)
        self.jobs, self.claims, self.ended = {}, [], {}

    async def _connect(self, namespace):
        return ServiceBroker.connect(self.url, namespace=namespace)

    def ask(self, answer):
        return self.loop.run_until_complete(answer)

    def teardown(self):
        self.ask(self.service.close())
        self.worker.close()
        self.doomed.close()
        self.redis.close()
        self.loop.close()

    @rule(queue=QUEUES, number=st.integers(1, 5), alone=st.booleans(), deadline=st.booleans())
    def admit(self, queue, number, alone, deadline):
        batch, tenant, priority = queue
        made = {"kind": "gram", "spec": b"{}", "fingerprint": "f", "flops": 1, "bytes": 1, "alone": alone}
        made |= {"tenant": tenant, "priority": priority}
        made["cancel_after_ms"] = 60_000 if deadline else 0
        jobs = [Submission(id=uuid.uuid4().hex, batch_key=batch, **made) for _ in range(number)]
        self.ask(self.service.admit(jobs))
        self.jobs |= {job.id: tenant for job in jobs}

    @rule(max_jobs=st.integers(1, 4), max_bytes=st.integers(1, 4))
    def claim(self, max_jobs, max_bytes):
        claim = self.worker.claim("w", "cpu", max_jobs=max_jobs, max_bytes=max_bytes, block_ms=0)
        if claim:
            assert len(claim.jobs) <= min(max_jobs, max_bytes)
            assert len({self.jobs[job.id] for job in claim.jobs}) == 1, "a batch of several tenants"
            self.claims.append(claim)

    @rule(which=pick, state=st.sampled_from(["succeeded", "failed"]), part=st.booleans())
    def finish(self, which, state, part):
        if self.claims:
            claim = self.claims[which % len(self.claims)]
            jobs = claim.jobs[:1] if part else claim.jobs
            made = {"device": "cpu", "batch_size": 1, "result": claim.lease.encode()}
            self.worker.finish(claim.lease, [Finished(id=job.id, state=State(state), **made) for job in jobs])

    @rule(which=pick)
    def release(self, which):
        if self.claims:
            claim = self.claims.pop(which % len(self.claims))
            self.worker.release(claim.lease, [job.id for job in claim.jobs])

    @rule()
    def die(self):
        if claim := self.doomed.claim("w", "cpu", block_ms=0):
            while self.redis.zscore(f"{self.tag}:leases", claim.lease):
                self.worker.sweep()
            self.claims.append(claim)  # a zombie, which may still try to finish

    def some(self, which):
        return list(self.jobs.items())[which % len(self.jobs)]

    @rule(which=pick)
    def crash(self, which):
        if self.claims:
            self.worker.crash(self.claims[which % len(self.claims)].lease, "signal 11 (SIGSEGV)")

    @rule(which=pick)
    def cancel(self, which):
        if self.jobs:
            self.ask(self.service.cancel(*self.some(which)))

    @rule(which=pick)
    def expire(self, which):
        """Some deadline passes, that of a job which has ended too."""
        if due := self.redis.zrange(f"{self.tag}:deadlines", 0, -1):
            job = due[which % len(due)]
            self.redis.zadd(f"{self.tag}:deadlines", {job: 1})
            if job not in self.ended:
                self.redis.hset(f"{self.tag}:job:{job}", "expires", 1)
        self.ask(self.service.expire())

    @rule(which=pick)
    def retry(self, which):
        if self.jobs:
            job, tenant = self.some(which)
            if self.ask(self.service.retry(job, tenant)).state == "queued":
                self.ended.pop(job, None)

    @invariant()
    def the_books_balance(self):
        records = self.ask(self.everything())
        states = Counter(str(record.state) for record in records)
        assert self.ask(self.service.depth()) == (states["queued"], states["running"])
        streams = {key: self.redis.xlen(key) for key in self.redis.scan_iter(f"{self.tag}:queue:*", count=1000)}
        assert streams == Counter(f"{self.tag}:queue:{queue_of(record)}" for record in records if not record.done)
        waiting = Counter(queue_of(record) for record in records if record.state == "queued")
        assert self.redis.hgetall(f"{self.tag}:waiting") == {queue: str(n) for queue, n in waiting.items()}
        assert self.ready() == set(waiting)

    def ready(self):
        """All queues that a claim finds, each through its priority and its tenant."""
        found = set()
        for rank in range(3):
            for tenant in self.redis.zrange(f"{self.tag}:ready:{rank}", 0, -1):
                queues = self.redis.zrange(f"{self.tag}:ready:{rank}:{tenant}", 0, -1)
                assert queues, "a tenant that waits for nothing"
                found |= set(queues)
        return found

    @invariant()
    def each_tenant_and_each_priority_is_counted(self):
        queued = [record for record in self.ask(self.everything()) if record.state == "queued"]
        for tenant in TENANTS:
            counted = self.redis.hget(f"{self.tag}:share:{tenant}", "queued")
            assert int(counted or 0) == sum(record.tenant == tenant for record in queued)
        depth = self.ask(self.service.queue_depth())
        assert +Counter(depth.waiting) == Counter(record.priority for record in queued)

    async def everything(self):
        found = [await self.service.record(job, tenant) for job, tenant in self.jobs.items()]
        assert None not in found
        return found

    @invariant()
    def an_end_never_changes(self):
        for record in self.ask(self.everything()):
            if record.done:
                assert self.ended.setdefault(record.id, record) == record


def test_any_history_keeps_the_books(valkey_url, namespace):
    run_state_machine_as_test(
        type("BoundQueue", (Queue,), {"url": valkey_url, "namespace": namespace}),
        settings=settings(
            max_examples=40, stateful_step_count=40, deadline=None, suppress_health_check=list(HealthCheck)
        ),
    )


@pytest.mark.parametrize("seed", [1, 2])
async def test_a_thousand_jobs_over_fifty_keys_leave_only_their_records(
    service, connect_worker, submission, ended, keys, namespace, seed
):
    chance, jobs = random.Random(seed), []
    worker, doomed = connect_worker(), connect_worker(lease_ms=1)
    for _ in range(40):
        jobs += await service.admit([submission(f"gram:{chance.randrange(50)}") for _ in range(25)])
        for cancelled in chance.sample(jobs, 3):
            await service.cancel(cancelled.id)
        doomed.claim("doomed", "cpu", block_ms=0)
        claim = worker.claim("w", "cpu", max_jobs=chance.randrange(1, 20), block_ms=0)
        worker.progress(claim.lease, claim.jobs[0].id, 0.5)
        worker.release(claim.lease, [job.id for job in claim.jobs[::2]])
        worker.finish(claim.lease, [ended(job.id) for job in claim.jobs])
        worker.sweep()
    while await service.depth() != (0, 0):
        worker.sweep()
        if claim := worker.claim("w", "cpu", block_ms=0):
            worker.finish(claim.lease, [ended(job.id, chance.choice(["succeeded", "failed"])) for job in claim.jobs])
    assert len(keys("job:")) == len(jobs) == 1000
    assert all(record.done for record in await service.records([job.id for job in jobs]))
    rest = {key.removeprefix(f"{tag(namespace)}:").partition(":")[0] for key in keys()} - {"job", "progress"}
    assert rest <= {"counts", "index", "trimming", "bell", "share", "dead"}
