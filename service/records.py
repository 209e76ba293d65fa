"""From the broker's records to the job documents that clients read."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

import pydantic_core

from broker.records import Record
from mercer.jobs import TERMINAL, Result, State

RETRY_AFTER_S = 1
"""When to look again at a job that has not finished; waiting with ?wait=N is better."""


def done(record: Record) -> bool:
    """Whether nothing changes any more."""
    return record.state in TERMINAL


class StoredResult(Result):
    """A result and where its npy file is; nowhere when its numbers are in the record."""

    object: str | None = None
    offset: int = 0


def stored_of(record: Record) -> StoredResult:
    """What a succeeded job gave."""
    assert record.result is not None
    return StoredResult.model_validate_json(record.result)


def job_document(record: Record) -> dict[str, Any]:
    """A mercer.jobs.Job without its result and the fields that are None; made often, hence without the model."""
    document = {
        "id": record.id,
        "kind": record.kind,
        "state": record.state.value,
        "batch_key": record.batch_key,
        "priority": record.priority.value,
        "batch_size": record.batch_size,
        "attempt": record.attempt,
        "worker": record.worker,
        "device": record.device,
        "queue_position": record.queue_position,
        "progress": record.progress,
        "created_at": _time(record.created_ms),
        "started_at": _time(record.started_ms),
        "finished_at": _time(record.finished_ms),
        "expires_at": _time(record.expires_ms),
        "timings": record.timings,
        "error": None if record.error is None else pydantic_core.from_json(record.error),
    }
    return {name: value for name, value in document.items() if value is not None}


def with_result(document: bytes, record: Record | None) -> bytes:
    """A JSON object, and the result of a job in it, as clients see it."""
    if record is None or record.result is None:
        return document
    return document[:-1] + b',"result":' + _public(record.id, record.result) + b"}"


def _public(job_id: str, result: bytes) -> bytes:
    """The place in the store is no business of theirs; numbers that are in the record are copied as they are."""
    if b'"object":' not in result:
        return result
    shown: dict[str, Any] = pydantic_core.from_json(result)
    if "object" in shown:
        shown = {name: value for name, value in shown.items() if name not in {"object", "offset", "length"}}
        shown["location"] = f"/v1/jobs/{job_id}/result"
    return pydantic_core.to_json(shown)


def job_json(record: Record) -> bytes:
    """The document of one job."""
    if record.state is State.QUEUED and not record.attempt:
        return _waiting_json(record)
    return with_result(pydantic_core.to_json(job_document(record)), record)


def _waiting_json(record: Record) -> bytes:
    """The same of a job that nobody took yet: made for every job, and mostly of the same few texts."""
    expires = "" if record.expires_ms is None else f',"expires_at":{_quoted(_time(record.expires_ms))}'
    return (
        f'{{"id":"{record.id}","kind":{_quoted(record.kind)},"state":"queued","batch_key":{_quoted(record.batch_key)},'
        f'"priority":"{record.priority.value}","attempt":0,"queue_position":{record.queue_position},"progress":0.0,'
        f'"created_at":{_quoted(_time(record.created_ms))}{expires}}}'
    ).encode()


@lru_cache(maxsize=1_000)
def _quoted(value: str | datetime | None) -> str:
    return pydantic_core.to_json(value).decode()


def jobs_json(records: list[Record], *, following: str | None = None) -> bytes:
    """The document of several jobs, with the cursor of what follows."""
    end = b"]}" if following is None else b'],"next":' + pydantic_core.to_json(following) + b"}"
    return b'{"jobs":[' + b",".join(map(job_json, records)) + end


@lru_cache(maxsize=1_000)
def _time(ms: int | None) -> datetime | None:
    return datetime.fromtimestamp(ms / 1000, UTC) if ms else None
