"""Batch files in the queue: counted, listed and cancelled as a whole; their jobs are jobs like any other."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from broker.cursors import before
from broker.keys import scoped, tag
from broker.limits import Limits
from broker.pipe import Pipe
from broker.wakes import RECHECK_S, Watch
from mercer.errors import IdempotencyConflict
from mercer.jobs import Priority, State
from mercer.tenants import DEFAULT_TENANT

OLD_FILES_LOOKED_AT = 10
"""With each new file: so the list of files forgets those that have expired."""

LOOK_S = 0.1
"""At most so often is a file looked at for one who waits: a busy one moves a hundred times a second."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FileRecord:
    """A batch file as it is now. The counts of its jobs, by state, always sum to the total."""

    id: str
    created_ms: int
    total: int
    counts: dict[State, int] = field(default_factory=dict)
    stopped: bool
    """Its cancellation was asked for."""
    finished_ms: int | None = None
    expires_ms: int | None = None
    """When its jobs are stopped; None is never."""
    priority: Priority = Priority.LOW
    tenant: str = DEFAULT_TENANT

    @property
    def left(self) -> int:
        """How many of its jobs have not ended."""
        return self.counts[State.QUEUED] + self.counts[State.RUNNING]


class Due(NamedTuple):
    """A batch file on which somebody has to go on."""

    id: str
    tenant: str
    priority: Priority
    total: int
    admitted: int
    """Lines that are jobs by now."""
    offset: int
    """Of the next line, in bytes."""
    swept: int
    """Lines that were cancelled by now."""
    stopped: bool


class Part(NamedTuple):
    """Lines of a batch file that are admitted together; nothing happens unless they are the next ones."""

    file: str
    line: int
    """Number of the first, from 0."""
    offset: int
    """Behind the last, in bytes."""


class Entry(NamedTuple):
    """A job of a batch file that has ended."""

    cursor: str
    job_id: str
    custom_id: str
    state: State


class Files:
    """What the service asks of the queue about batch files.

    Args:
        pipe: To Redis.
        namespace: What all keys begin with.
        watching: Wakes who waits for jobs and files.
        limits: When to refuse a file.
        result_ttl_s: How long the record of an ended file is kept.
        idempotency_ttl_s: How long an idempotency key is remembered.
    """

    def __init__(
        self,
        pipe: Pipe,
        namespace: str,
        watching: Callable[[list[str]], AbstractContextManager[Watch]],
        limits: Limits,
        *,
        result_ttl_s: int,
        idempotency_ttl_s: int,
    ) -> None:
        self._pipe = pipe
        self._tag = tag(namespace)
        self._watching = watching
        self._limits = limits
        self._result_ttl_s = result_ttl_s
        self._idempotency_ttl_s = idempotency_ttl_s

    async def known(self, key: str, fingerprint: str, tenant: str = DEFAULT_TENANT) -> str | None:
        """The file that the tenant submitted with this idempotency key.

        Raises:
            IdempotencyConflict: it was another request.
        """
        found = await self._pipe.command("GET", f"{self._tag}:idempotency-file:{scoped(tenant, key)}")
        print_ = found and await self._pipe.command("HGET", f"{self._tag}:file:{found.decode()}", "print")
        if not print_:
            return None
        if print_.decode() != fingerprint:
            raise _conflict(key)
        return str(found.decode())

    async def open(
        self,
        file: str,
        total: int,
        fingerprint: str,
        key: str | None,
        tenant: str = DEFAULT_TENANT,
        *,
        cancel_after_ms: int = 0,
        priority: Priority = Priority.LOW,
    ) -> str:
        """Begin a tenant's file whose lines are in the store; the id of the earlier file when the key is known.

        Raises:
            IdempotencyConflict: the key stands for another request.
            QueueFull: there is no room for all of its jobs.
            MemoryFull: the server has none for more.
        """
        self._limits.check_memory()
        options = (self._idempotency_ttl_s, self._limits.max_queued, OLD_FILES_LOOKED_AT, tenant)
        more = (cancel_after_ms, priority, self._limits.max_tenant_queued)
        name = scoped(tenant, key) if key else ""
        answer = await self._pipe.run("file_open", file, total, fingerprint, name, *options, *more)
        match answer:
            case [b"conflict"]:
                raise _conflict(key or "")
            case [b"full" | b"tenant-full" as verdict, queued, per_second]:
                raise self._limits.refusal(verdict, int(queued), float(per_second))
            case [b"known", earlier]:
                return str(earlier.decode())
        return file

    async def due(self, lease_ms: int) -> Due | None:
        """A file on which to go on, which nobody else is given for so long."""
        answer = await self._pipe.run("file_due", lease_ms)
        if answer is None:
            return None
        file, tenant, priority, total, admitted, offset, swept, stopped = answer
        whose = (tenant.decode(), Priority(priority.decode()))
        return Due(file.decode(), *whose, total, admitted, offset, swept, bool(stopped))

    async def rest(self, file: str, pause_ms: int = 0) -> bool:
        """A step is over and the next is due after a pause; True when nothing is left to do."""
        return bool(await self._pipe.run("file_rest", file, pause_ms))

    async def pending(self, file: str) -> bool:
        """Whether something is left to do."""
        return await self._pipe.command("ZSCORE", f"{self._tag}:admitting", file) is not None

    async def sweep(self, file: str, line: int, stop: int) -> None:
        """Cancel the jobs of some lines."""
        ids = [job_id(file, number) for number in range(line, stop)]
        await self._pipe.run("file_cancel", file, stop, self._result_ttl_s, *ids)

    async def stop(self, file: str, tenant: str = DEFAULT_TENANT) -> None:
        """Have all jobs of a tenant's file cancelled that have not ended; whoever admits files does it."""
        await self._pipe.run("file_stop", file, tenant)

    async def record(self, file: str, tenant: str = DEFAULT_TENANT) -> FileRecord | None:
        """A file as it is now; None when the tenant has none of this id."""
        _, values = await self._pipe.run("files", tenant, "", file)
        return _record(values, tenant)

    async def page(
        self, cursor: str | None, limit: int, tenant: str = DEFAULT_TENANT
    ) -> tuple[list[FileRecord], str | None]:
        """Some files of a tenant, newest first, and where the next page begins.

        Raises:
            InvalidRequest: The cursor is none that a page gave.
        """
        after, *several = await self._pipe.run("files", tenant, before(cursor), limit)
        records = (_record(values, tenant) for values in several)
        return [record for record in records if record], after.decode() or None

    async def wait(self, file: str, timeout_s: float, tenant: str = DEFAULT_TENANT) -> FileRecord | None:
        """A tenant's file when all of its jobs have ended, or as it is when the time is over."""
        deadline = asyncio.get_running_loop().time() + timeout_s
        with self._watching([f"file:{file}"]) as watch:
            while (record := await self.record(file, tenant)) and record.left:
                if not await _woken(watch, deadline):
                    break
        return record

    async def entries(self, file: FileRecord, name: str, after: str, limit: int, wait_s: float = 0.0) -> list[Entry]:
        """Jobs that ended, in that order; with `wait_s` soon after there is one, or when the file has ended.

        Args:
            file: Which file; only its tenant can have the record.
            name: `output`, those that succeeded, or `errors`, the others.
            after: The cursor of the last entry seen.
            limit: How many at most.
            wait_s: For how long to wait.
        """
        deadline = asyncio.get_running_loop().time() + wait_s
        with self._watching([f"file:{file.id}"] if wait_s else []) as watch:
            while True:
                record = await self.record(file.id, file.tenant) if wait_s else None
                found = await self._pipe.command(
                    "XRANGE", f"{self._tag}:file:{file.id}:{name}", f"({after}", "+", "COUNT", limit
                )
                if found or record is None or not record.left or not await _woken(watch, deadline):
                    return [_entry(entry_id, values) for entry_id, values in found]


def job_id(file: str, line: int) -> str:
    """The same for the same line: a line that is admitted again after a crash is the same job."""
    return hashlib.blake2b(f"{file}:{line}".encode(), digest_size=16).hexdigest()


def slice_of(part: Part | None, result_ttl_s: int) -> tuple[str | int, ...]:
    """What the script `admit` is told about the lines of a file."""
    return (*(part or ("", "", "")), result_ttl_s)


async def _woken(watch: Watch, deadline: float) -> bool:
    """Whether it is time to look again, and not too late."""
    left_s = deadline - asyncio.get_running_loop().time()
    if left_s <= 0:
        return False
    await watch.wait(min(left_s, RECHECK_S))
    await asyncio.sleep(min(left_s, LOOK_S))
    return True


def _conflict(key: str) -> IdempotencyConflict:
    return IdempotencyConflict(f"the Idempotency-Key {key!r} was used for another request; nothing was queued")


def _record(values: Sequence[Any], tenant: str) -> FileRecord | None:
    made, total, left, running, *ended, stop, finished, expires, priority, file = values
    if made is None:
        return None
    counts = {State.QUEUED: int(left) - int(running), State.RUNNING: int(running)}
    counts |= {state: int(number or 0) for state, number in zip(_ENDED, ended, strict=True)}
    return FileRecord(
        id=file.decode(),
        created_ms=int(made),
        total=int(total),
        counts=counts,
        stopped=stop is not None,
        finished_ms=int(finished) if finished else None,
        expires_ms=int(expires) if expires else None,
        priority=Priority(priority.decode()),
        tenant=tenant,
    )


_ENDED = (State.SUCCEEDED, State.FAILED, State.CANCELLED, State.EXPIRED, State.DEAD)
"""In the order of the fields in files.lua."""


def _entry(entry_id: bytes, values: Sequence[bytes]) -> Entry:
    fields = dict(zip(values[::2], values[1::2], strict=True))
    return Entry(entry_id.decode(), fields[b"i"].decode(), fields[b"c"].decode(), State(fields[b"s"].decode()))
