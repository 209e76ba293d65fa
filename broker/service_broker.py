"""What the HTTP service asks of the queue."""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator, Iterator, Sequence
from typing import Any, Literal, Self

from broker.cursors import before, parse_event_id
from broker.durability import fields_of_info, file_fault
from broker.faults import check_server
from broker.files import Files, Part, slice_of
from broker.kept import Kept
from broker.keys import queue_name, scoped, tag
from broker.limits import Limits
from broker.pipe import Argument, Pipe
from broker.records import Admitted, Depth, Record, Submission, parse_record, parse_worker
from broker.settings import NAMESPACE, RESULT_TTL_S
from broker.wakes import RECHECK_S, Wakes
from broker.webhooks import Webhooks
from mercer.errors import IdempotencyConflict
from mercer.jobs import Priority, State, Worker
from mercer.tenants import DEFAULT_TENANT

RECORDS_AT_ONCE = 200
"""In one script: 1 ms of the server's time."""

LOOKED_AT_ONCE = 1000
"""Index entries that one page looks through: 5 ms of the server's time, when a state is rare."""

EXPIRED_AT_ONCE = 200
"""Deadlines looked at by one script: some milliseconds of the server's time."""

RETRIED_AT_ONCE = 100
"""Dead jobs queued again by one script: some milliseconds of the server's time."""

GATHER_S = 0.002
"""After the first job of a wait has ended: others of its batch follow at once."""

Event = tuple[str, Literal["state", "progress"], Record | float]


class ServiceBroker:
    """The queue, seen from the service; made by `connect`.

    Args:
        url: redis://, rediss:// or unix://.
        namespace: What all keys begin with.
        result_ttl_s: How long the record of an ended job is kept.
        idempotency_ttl_s: How long an idempotency key is remembered.
        limits: When to refuse jobs.
    """

    def __init__(self, url: str, *, namespace: str, result_ttl_s: int, idempotency_ttl_s: int, limits: Limits) -> None:
        self._pipe = Pipe(url, namespace)
        self._kept = Kept()
        self._wakes = Wakes(url, namespace, self._ended)
        self._tag = tag(namespace)
        self._result_ttl_s = result_ttl_s
        self._idempotency_ttl_s, self.limits = idempotency_ttl_s, limits
        self.webhooks = Webhooks(self._pipe)
        self.files = Files(
            self._pipe,
            namespace,
            self._wakes.watching,
            limits,
            result_ttl_s=result_ttl_s,
            idempotency_ttl_s=idempotency_ttl_s,
        )

    @classmethod
    def connect(
        cls,
        url: str,
        *,
        namespace: str = NAMESPACE,
        result_ttl_s: int = RESULT_TTL_S,
        idempotency_ttl_s: int = 86_400,
        max_queued: int = 100_000,
        max_tenant_queued: int | None = None,
        memory_share: float = 0.8,
    ) -> Self:
        """The queue at an address, after a look at the server.

        Raises:
            UnsuitableRedis: The server would lose jobs.
            Unavailable: It does not answer.
        """
        check_server(url)
        return cls(
            url,
            namespace=namespace,
            result_ttl_s=result_ttl_s,
            idempotency_ttl_s=idempotency_ttl_s,
            limits=Limits(max_queued, max_tenant_queued or max_queued, memory_share),
        )

    async def close(self) -> None:
        """Hang up; whoever still waits gets Unavailable."""
        await self._wakes.close()
        await self._pipe.close()

    async def fault(self) -> str | None:
        """Why the server cannot keep what it accepts; None while it can.

        Raises:
            Unavailable: It does not answer.
        """
        return file_fault(fields_of_info(await self._pipe.command("INFO", "persistence")))

    async def look_at_memory(self) -> None:
        """See how full the server's memory is: while it is nearly full, nothing is admitted.

        Raises:
            Unavailable: It does not answer.
        """
        self.limits.note_memory(fields_of_info(await self._pipe.command("INFO", "memory")))

    async def admit(self, submissions: Sequence[Submission], part: Part | None = None) -> list[Admitted]:
        """Queue all of them or none; of a part of a batch file none, too, when it was admitted already.

        Raises:
            IdempotencyConflict: A key stands for another request.
            QueueFull: Too many jobs wait already, of all or of the tenant.
            MemoryFull: The server has none for more.
            Unavailable: Redis cannot take them now.
        """
        self.limits.check_memory()
        bounds = (self.limits.max_queued, self.limits.max_tenant_queued)
        arguments: list[Argument] = [*bounds, self._idempotency_ttl_s, *slice_of(part, self._result_ttl_s)]
        for job in submissions:
            queue = queue_name(job.priority, job.tenant, job.batch_key)
            arguments += (job.id, job.kind, queue, job.spec, job.fingerprint, job.bytes, job.flops)
            key = scoped(job.tenant, job.idempotency_key) if job.idempotency_key else ""
            arguments += ("1" if job.alone else "", key, job.traceparent, job.custom_id, job.tenant)
            arguments.append(job.cancel_after_ms)
        verdict, *answers = await self._pipe.run("admit", *arguments)
        if verdict == b"conflict":
            key = submissions[answers[0]].idempotency_key
            raise IdempotencyConflict(f"the Idempotency-Key {key!r} was used for another request; nothing was queued")
        if verdict == b"stale":
            return []
        if verdict in (b"full", b"tenant-full"):
            raise self.limits.refusal(verdict, int(answers[0]), float(answers[1]))
        now, waiting, *earlier = answers
        places = itertools.count(waiting)
        return [_admitted(job, answer, now, places) for job, answer in zip(submissions, earlier, strict=True)]

    async def record(self, job_id: str, tenant: str = DEFAULT_TENANT) -> Record | None:
        """A job as it is now; None when the tenant has none of this id."""
        return (await self.records([job_id], tenant))[0]

    async def records(self, ids: Sequence[str], tenant: str = DEFAULT_TENANT) -> list[Record | None]:
        """Many jobs as they are now; None for those that the tenant has not."""
        kept = self._kept.find(ids, tenant)
        asked = [job_id for job_id in ids if job_id not in kept]
        chunks = [asked[start : start + RECORDS_AT_ONCE] for start in range(0, len(asked), RECORDS_AT_ONCE)]
        answers = await asyncio.gather(*(self._pipe.run("records", tenant, *chunk) for chunk in chunks))
        read = [record for header, *values in answers for record in _records(header, values)]
        self._kept.add(read)
        found: dict[str, Record | None] = {**kept, **dict(zip(asked, read, strict=True))}
        return [found[job_id] for job_id in ids]

    async def page(
        self, cursor: str | None, limit: int, state: str | None, tenant: str = DEFAULT_TENANT
    ) -> tuple[list[Record], str | None]:
        """Some of a tenant's jobs, newest first, and where the next page begins.

        A page of a rare state may be short, or empty, and still have a next one.

        Raises:
            InvalidRequest: The cursor is none that a page gave.
        """
        listed = state in (None, State.DEAD)  # the dead have a list of their own
        look = limit if listed else max(limit, LOOKED_AT_ONCE)
        header, after, *values = await self._pipe.run("page", before(cursor), limit, state or "", look, tenant)
        return [record for record in _records(header, values) if record], after.decode() or None

    async def cancel(self, job_id: str, tenant: str = DEFAULT_TENANT) -> Record | None:
        """Cancel a tenant's waiting job at once; a running one when its worker next renews its lease."""
        header, values = await self._pipe.run("cancel", job_id, self._result_ttl_s, tenant)
        return _records(header, [values])[0]

    async def expire(self) -> float | None:
        """Stop the jobs whose deadlines have passed; seconds until the next deadline, None when there is none.

        Every service process calls it when that comes, and now and then.
        """
        passed, next_ms = await self._pipe.run("expire", self._result_ttl_s, EXPIRED_AT_ONCE)
        while passed == EXPIRED_AT_ONCE:
            passed, next_ms = await self._pipe.run("expire", self._result_ttl_s, EXPIRED_AT_ONCE)
        return None if next_ms < 0 else next_ms / 1000

    async def retry(self, job_id: str, tenant: str = DEFAULT_TENANT) -> Record | None:
        """Queue a tenant's job again that ended without success; any other stays as it is."""
        header, values = await self._pipe.run("retry", job_id, tenant)
        return _records(header, [values])[0]

    async def retry_dead(self, tenant: str = DEFAULT_TENANT) -> int:
        """Queue all dead jobs of a tenant again; how many they were."""
        again, looked_at = 0, RETRIED_AT_ONCE
        while looked_at == RETRIED_AT_ONCE:
            looked_at, number = await self._pipe.run("retry_dead", tenant, RETRIED_AT_ONCE)
            again += number
        return again

    async def wait(self, ids: Sequence[str], timeout_s: float, tenant: str = DEFAULT_TENANT) -> set[str]:
        """Those that have ended or that the tenant has not, as soon as there is one; none when the time is over."""
        with self._wakes.watching(ids) as watch:
            ended = await self._ended(ids, tenant)
            deadline = asyncio.get_running_loop().time() + timeout_s
            while not (ended or watch.ended):
                left_s = deadline - asyncio.get_running_loop().time()
                if left_s <= 0 or not await watch.wait(left_s):
                    return set()
            if len(ended | watch.ended) < len(ids):
                await asyncio.sleep(GATHER_S)
            return ended | watch.ended

    async def events(self, job_id: str, after: str | None, tenant: str = DEFAULT_TENANT) -> AsyncIterator[Event]:
        """What happens to a job, until it has ended; nothing when the tenant has none of this id.

        Args:
            job_id: Which job.
            after: The id of the last event seen, to go on from there.
            tenant: Whose it is.
        """
        seen, reported = parse_event_id(after)
        with self._wakes.watching([job_id]) as watch:
            while True:
                record = await self.record(job_id, tenant)
                if record is None:
                    return
                current = f"{record.attempt}.{record.state}"
                if current != seen and not record.done:
                    seen = current
                    yield f"{seen}.{reported}", "state", record
                for event, fraction in await self._progress(job_id, reported):
                    reported = event
                    yield f"{seen}.{reported}", "progress", fraction
                if record.done:
                    if current != seen:
                        yield f"{current}.{reported}", "state", record
                    return
                await watch.wait(RECHECK_S)

    async def lease_tokens(self, bucket: str, rate: float, most: int, wanted: int) -> tuple[int, int]:
        """Some tokens of a bucket that fills by `rate` a second up to `most`, and in how many ms there is one.

        Raises:
            Unavailable: Redis is away.
        """
        leased, wait_ms = await self._pipe.run("lease_tokens", bucket, rate, most, wanted)
        return int(leased), int(wait_ms)

    async def depth(self) -> tuple[int, int]:
        """How many jobs wait and how many run."""
        return (depth := await self.queue_depth()).queued, depth.running

    async def queue_depth(self) -> Depth:
        """How full the queue is, at one moment."""
        high, normal, low, *others = await self._pipe.run("depth")
        return Depth({Priority.HIGH: high, Priority.NORMAL: normal, Priority.LOW: low}, *others)

    async def workers(self) -> list[Worker]:
        """The workers that are alive, by name."""
        return sorted(map(parse_worker, await self._pipe.run("workers")), key=lambda worker: worker.name)

    async def _ended(self, ids: Sequence[str], tenant: str = "") -> set[str]:
        """Those that have ended or that the tenant has not; without a tenant, whoever has them."""
        return {job_id.decode() for job_id in await self._pipe.run("terminal", tenant, *ids)}

    async def _progress(self, job_id: str, after: str) -> list[tuple[str, float]]:
        entries = await self._pipe.command("XRANGE", f"{self._tag}:progress:{job_id}", f"({after}", "+")
        return [(entry_id.decode(), float(values[1])) for entry_id, values in entries]


def _admitted(job: Submission, answer: bytes | int, now: int, places: Iterator[int]) -> Admitted:
    if isinstance(answer, bytes):
        return Admitted(answer.decode(), replayed=True)
    record = None
    if answer == 0:
        record = Record(
            id=job.id,
            kind=job.kind,
            state=State.QUEUED,
            batch_key=job.batch_key,
            created_ms=now,
            queue_position=next(places),
            expires_ms=now + job.cancel_after_ms if job.cancel_after_ms else None,
            priority=job.priority,
            tenant=job.tenant,
        )
    return Admitted(job.id, replayed=False, record=record)


def _records(header: Sequence[bytes | None], values: Sequence[Any]) -> list[Record | None]:
    queued, admitted = (int(number or 0) for number in header)
    return [parse_record(value, queued, admitted) for value in values]
