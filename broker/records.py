"""What the service and the workers tell the queue, and what it answers. Times are milliseconds of Redis' own clock.

What is made for every job is a NamedTuple: a frozen dataclass of as many fields takes 3 us to make, this 1.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, NamedTuple

from pydantic_core import from_json, to_json

from broker.keys import parts_of_queue
from mercer.errors import JobExpired
from mercer.jobs import TERMINAL, Priority, State, Worker
from mercer.tenants import DEFAULT_TENANT


class Submission(NamedTuple):
    """A job to be queued."""

    id: str
    kind: str
    batch_key: str
    spec: bytes
    """JSON; only a worker reads it."""
    fingerprint: str
    """What an idempotency key stands for: equal for requests that mean the same. Without a key it may be empty."""
    flops: int
    bytes: int
    """With `flops`, what a batch is bounded by."""
    idempotency_key: str | None = None
    alone: bool = False
    """Never in one batch with others."""
    traceparent: str = ""
    """W3C trace context of who queues it; empty where no traces are taken."""
    custom_id: str = ""
    """Its name in its batch file."""
    cancel_after_ms: int = 0
    """How long after its admission it is stopped, whether it was started or not; 0 is never."""
    priority: Priority = Priority.NORMAL
    tenant: str = DEFAULT_TENANT
    """Whose it is."""


class Record(NamedTuple):
    """A job as it is now."""

    id: str
    kind: str
    state: State
    batch_key: str
    created_ms: int
    batch_size: int | None = None
    attempt: int = 0
    worker: str | None = None
    device: str | None = None
    progress: float = 0.0
    started_ms: int | None = None
    finished_ms: int | None = None
    timings: dict[str, float] | None = None
    """queued_ms, and what the worker measured."""
    result: bytes | None = None
    """As the worker gave it to `finish`."""
    error: bytes | None = None
    """A problem document, as JSON."""
    queue_position: int | None = None
    """How many waiting jobs came before it; only while queued."""
    expires_ms: int | None = None
    """When it is stopped; None is never."""
    priority: Priority = Priority.NORMAL
    tenant: str = DEFAULT_TENANT

    @property
    def done(self) -> bool:
        """Whether the state is terminal: nothing changes any more."""
        return self.state in TERMINAL


@dataclass(frozen=True, slots=True)
class Depth:
    """How full the queue is."""

    waiting: dict[Priority, int]
    running: int
    oldest_ms: int
    """How long the oldest waiting job has waited; 0 when none waits."""
    dead: int
    """Jobs that ever died."""
    expired: int
    """Jobs whose deadlines ever passed."""

    @property
    def queued(self) -> int:
        """How many jobs wait."""
        return sum(self.waiting.values())


@dataclass(slots=True)
class Admitted:
    """A job that is in the queue."""

    id: str
    replayed: bool
    """Whether an earlier request with the same idempotency key had queued it."""
    record: Record | None = field(default=None, compare=False)
    """As it was queued; None when it was known already, and may have changed since."""


class ClaimedJob(NamedTuple):
    """A job that a worker is to run."""

    id: str
    kind: str
    spec: bytes
    attempt: int
    created_ms: int
    traceparent: str = ""
    """Of who queued it; empty where no traces are taken."""
    tenant: str = DEFAULT_TENANT
    """Whose data sets it reads."""


@dataclass(frozen=True, slots=True)
class Claim:
    """Jobs that go together, held until the lease expires."""

    lease: str
    batch_key: str
    jobs: list[ClaimedJob]
    claimed_ms: int
    lingered_s: float
    """How long the claim waited for the batch to fill."""


@dataclass(frozen=True, slots=True)
class Crash:
    """What became of the jobs whose process was killed."""

    suspects: int
    """Wait again, each to run alone."""
    dead: list[str]
    """Were among the victims once too often."""


@dataclass(frozen=True, slots=True)
class Renewal:
    """What a worker hears when it renews its lease."""

    held: bool
    """False: the lease expired, its jobs were given to others, and nothing it finishes is accepted."""
    cancelled: set[str]
    """Jobs whose cancellation was asked for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finished:
    """How a job ended."""

    id: str
    state: State
    result: bytes | None = None
    error: bytes | None = None
    device: str
    batch_size: int
    timings: Mapping[str, float] = field(default_factory=dict)


def pack_run(finished: Finished) -> bytes:
    """The field `ran` of the job's hash."""
    ran = {"device": finished.device, "batch_size": finished.batch_size, "timings": finished.timings}
    return to_json(ran)


def parse_record(values: Sequence[Any], queued: int, admitted: int) -> Record | None:
    """The record in an answer of a script, or None where there is no such job.

    Args:
        values: What `read_record` in shared.lua returns.
        queued: Jobs that wait now.
        admitted: Jobs ever admitted.
    """
    state, kind, queue, tries, worker, device, progress, made, began, ended, *values = values
    ran, result, error, seq, tenant, expires, job_id = values
    if state is None:
        return None
    state = State(state.decode())
    run = from_json(ran) if ran else {}
    priority, batch_key = parts_of_queue(queue.decode())
    return Record(
        id=job_id.decode(),
        kind=kind.decode(),
        state=state,
        batch_key=batch_key,
        batch_size=run.get("batch_size"),
        attempt=int(tries or 0),
        worker=_text(worker),
        device=run.get("device") or _text(device),
        progress=1.0 if state == State.SUCCEEDED else float(progress or 0),
        created_ms=int(made),
        started_ms=_integer(began),
        finished_ms=_integer(ended),
        timings={"queued_ms": float(int(began) - int(made)), **run["timings"]} if run and began else None,
        result=result or None,
        error=error or (_expired(began) if state == State.EXPIRED else None),
        queue_position=max(0, queued - 1 - (admitted - int(seq))) if state == State.QUEUED else None,
        expires_ms=_integer(expires),
        priority=priority,
        tenant=_text(tenant) or DEFAULT_TENANT,
    )


def parse_worker(values: Sequence[bytes]) -> Worker:
    """A worker, as the script `workers` answers it."""
    name, device, started, seen, running, done = (value.decode() for value in values)
    return Worker(
        name=name,
        device=device,
        started_at=datetime.fromtimestamp(int(started) / 1000, UTC),
        seen_at=datetime.fromtimestamp(int(seen) / 1000, UTC),
        running=int(running),
        jobs_done=int(done),
    )


def _expired(began: bytes | None) -> bytes:
    """The same for all, and so not kept."""
    when = "while it ran" if began else "before it was started"
    return to_json(JobExpired(f"its deadline, given as Cancel-After, passed {when}").problem())


def _text(value: bytes | None) -> str | None:
    return value.decode() if value else None


def _integer(value: bytes | None) -> int | None:
    return int(value) if value else None
