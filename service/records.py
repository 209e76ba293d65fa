"""From the broker's records to the job documents that clients read."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import lru_cache

import pydantic_core

from broker.records import Record
from mercer.jobs import TERMINAL, Result, State

_PLACE = re.compile(rb',"object":"[^"]+","offset":\d+,"length":\d+\}')

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


def with_result(document: bytes, record: Record | None) -> bytes:
    """A JSON object, and the result of a job in it, as clients see it."""
    if record is None or record.result is None:
        return document
    return document[:-1] + b',"result":' + _public(record.id, record.result) + b"}"


def _public(job_id: str, result: bytes) -> bytes:
    """The place in the store, which ends it, is no business of theirs; the rest is copied as it is."""
    place = result.rfind(b',"object":"')
    if place < 0 or not _PLACE.fullmatch(result, place):
        return result
    return b'%b,"location":"/v1/jobs/%b/result"}' % (result[:place], job_id.encode())


def job_json(record: Record) -> bytes:
    """The document of one job: a mercer.jobs.Job without the fields that are None.

    Made several times for every job, and mostly of the same few texts, hence without the model.
    """
    document = [
        f'{{"id":"{record.id}","kind":{_quoted(record.kind)},"state":"{record.state}","batch_key":'
        f'{_quoted(record.batch_key)},"priority":"{record.priority}","attempt":{record.attempt},'
        f'"progress":{record.progress},"created_at":{_time(record.created_ms)}'
    ]
    if record.queue_position is not None:
        document.append(f',"queue_position":{record.queue_position}')
    if record.expires_ms is not None:
        document.append(f',"expires_at":{_time(record.expires_ms)}')
    if record.attempt or record.state is not State.QUEUED:
        document += _of_the_run(record)
    if record.error is not None:
        document.append(f',"error":{record.error.decode()}')
    document.append("}")
    return with_result("".join(document).encode(), record)


def _of_the_run(record: Record) -> Iterator[str]:
    if record.worker is not None:
        yield f',"worker":{_quoted(record.worker)}'
    if record.device is not None:
        yield f',"device":{_quoted(record.device)}'
    if record.started_ms is not None:
        yield f',"started_at":{_time(record.started_ms)}'
    if record.finished_ms is not None:
        yield f',"finished_at":{_time(record.finished_ms)}'
    if record.batch_size is not None:
        yield f',"batch_size":{record.batch_size}'
    if record.timings is not None:
        yield f',"timings":{pydantic_core.to_json(record.timings).decode()}'


def jobs_json(records: list[Record], *, following: str | None = None) -> bytes:
    """The document of several jobs, with the cursor of what follows."""
    end = b"]}" if following is None else b'],"next":' + pydantic_core.to_json(following) + b"}"
    return b'{"jobs":[' + b",".join(map(job_json, records)) + end


@lru_cache(maxsize=1_000)
def _quoted(text: str) -> str:
    return pydantic_core.to_json(text).decode()


@lru_cache(maxsize=1_000)
def _time(ms: int | None) -> str | None:
    return f'"{datetime.fromtimestamp(ms / 1000, UTC).isoformat().replace("+00:00", "Z")}"' if ms else None
