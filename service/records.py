"""From the broker's records to the job documents that clients read."""

from __future__ import annotations

from datetime import UTC, datetime

import pydantic_core

from broker.records import Record
from mercer.jobs import TERMINAL, Job, Result, State

RETRY_AFTER_S = 1
"""When to look again at a job that has not finished; waiting with ?wait=N is better."""


def done(record: Record) -> bool:
    """Whether nothing changes any more."""
    return record.state in TERMINAL


class StoredResult(Result):
    """A result and where its npy file is; nowhere when its numbers are in the record."""

    object: str | None = None
    offset: int = 0

    def public(self, job_id: str) -> Result:
        """As clients see it: the place in the store is no business of theirs."""
        fields = self.model_dump(exclude={"object", "offset"}, exclude_none=True)
        if self.object is not None:
            fields["location"] = f"/v1/jobs/{job_id}/result"
        return Result(**fields)


def stored_of(record: Record) -> StoredResult:
    """What a succeeded job gave."""
    assert record.result is not None
    return StoredResult.model_validate_json(record.result)


def job_of(record: Record) -> Job:
    """The job as clients see it."""
    return Job(
        id=record.id,
        kind=record.kind,
        state=State(record.state),
        batch_key=record.batch_key,
        batch_size=record.batch_size,
        attempt=record.attempt,
        worker=record.worker,
        device=record.device,
        queue_position=record.queue_position,
        progress=record.progress,
        created_at=_time(record.created_ms),
        started_at=_time(record.started_ms) if record.started_ms else None,
        finished_at=_time(record.finished_ms) if record.finished_ms else None,
        timings=record.timings,
        result=None if record.result is None else stored_of(record).public(record.id),
        error=None if record.error is None else pydantic_core.from_json(record.error),
    )


def job_json(record: Record) -> bytes:
    """The document of one job."""
    return job_of(record).model_dump_json(exclude_none=True).encode()


def jobs_json(records: list[Record], *, following: str | None = None) -> bytes:
    """The document of several jobs, with the cursor of what follows."""
    end = b"]}" if following is None else b'],"next":' + pydantic_core.to_json(following) + b"}"
    return b'{"jobs":[' + b",".join(map(job_json, records)) + end


def _time(ms: int) -> datetime:
    return datetime.fromtimestamp(ms / 1000, UTC)
