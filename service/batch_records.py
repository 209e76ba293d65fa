"""From the broker's records of batch files to the documents that clients read."""

from __future__ import annotations

from datetime import UTC, datetime

import pydantic_core

from broker.files import Entry, FileRecord
from broker.records import Record
from mercer.batches import Batch, BatchStatus, Counts
from mercer.jobs import State
from service.records import with_result


def batch_of(record: FileRecord) -> Batch:
    """The batch as clients see it."""
    return Batch(
        id=record.id,
        status=status_of(record),
        counts=Counts(total=record.total, **{state.value: number for state, number in record.counts.items()}),
        priority=record.priority,
        created_at=datetime.fromtimestamp(record.created_ms / 1000, UTC),
        finished_at=_time(record.finished_ms),
        expires_at=_time(record.expires_ms),
    )


def status_of(record: FileRecord) -> BatchStatus:
    """One word for all of its jobs."""
    if record.left:
        return BatchStatus.CANCELLING if record.stopped else BatchStatus.IN_PROGRESS
    if record.stopped:
        return BatchStatus.CANCELLED
    whole = record.counts[State.SUCCEEDED] == record.total
    return BatchStatus.COMPLETED if whole else BatchStatus.COMPLETED_WITH_ERRORS


def batch_json(record: FileRecord) -> bytes:
    """The document of one batch."""
    return batch_of(record).model_dump_json(exclude_none=True).encode()


def line_json(entry: Entry, record: Record | None) -> bytes:
    """A mercer.batches.BatchLine; of a job whose record has expired, no more than that it ended."""
    line = {
        "custom_id": entry.custom_id,
        "job_id": entry.job_id,
        "kind": record.kind if record else None,
        "state": entry.state,
        "error": pydantic_core.from_json(record.error) if record and record.error else None,
        "cursor": entry.cursor,
    }
    document = pydantic_core.to_json({name: value for name, value in line.items() if value is not None})
    return with_result(document, record) + b"\n"


def _time(ms: int | None) -> datetime | None:
    return datetime.fromtimestamp(ms / 1000, UTC) if ms else None
