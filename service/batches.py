"""Batches: many jobs in one file of JSON lines; watched, read while they run, and cancelled as a whole."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator
from io import BufferedReader
from secrets import token_hex
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query
from fastapi.concurrency import contextmanager_in_threadpool
from pydantic import BaseModel, Field
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from broker.files import Entry, FileRecord
from mercer.batches import MAX_BYTES, MAX_LINES, MEDIA_TYPE, Batch
from mercer.errors import IdempotencyConflict, MemoryFull, QueueFull, TooLarge, UnknownBatch, UnsupportedFormat
from mercer.jobs import Priority
from service.batch_lines import Lines
from service.batch_records import batch_json, batch_of, line_json
from service.bodies import large_pieces
from service.documented import header, problems, reference
from service.headers import MAX_WAIT_S, Fields, Options, idempotency_key, options
from service.json_answers import JsonAnswer
from service.parts import Parts, PartsDep
from service.principals import Principal, PrincipalDep
from store.disk import Appender

MEDIA_TYPES = (MEDIA_TYPE, "application/x-ndjson")
NDJSON = "application/x-ndjson"

USUAL_PRIORITY = Priority.LOW
"""Nobody waits for a single job of a batch."""

LINES_AT_ONCE = 200
"""Read from the queue at a time: 1 ms of the server's time."""

SUBMISSION: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "description": f"At most {MAX_LINES:,} lines and {MAX_BYTES:,} bytes; each line as the schema says.",
        "content": {media_type: {"schema": reference("Line")} for media_type in MEDIA_TYPES},
    },
    "parameters": [
        header("Idempotency-Key", "The same key and the same file give the same batch again."),
        header(
            "Job-Priority",
            "high, normal or low (low is usual): which go first; the lowest that wait have a tenth of all.",
        ),
        header(
            "Cancel-After", "After so long, from 1s to 24h, such as 30s or 10m, jobs that have not ended are stopped."
        ),
    ],
}
LINES: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "A line of JSON for each job, as they ended.",
        "content": {NDJSON: {"schema": reference("BatchLine")}},
    },
    **problems(400, 404, 503),
}

router = APIRouter(prefix="/v1/batches", tags=["batches"])


class Batches(BaseModel):
    """Several batches."""

    batches: list[Batch]
    next: str | None = Field(None, description="Cursor of the next page; absent on the last one.")


Cursor = Annotated[
    str, Query(pattern=r"^[0-9]{1,19}-[0-9]{1,19}$", description="`cursor` of the last line that was read.")
]
Limit = Annotated[int, Query(ge=1, le=MAX_LINES, description="How many lines at most.")]
Wait = Annotated[
    float, Query(ge=0, le=MAX_WAIT_S, description="Hold the answer for so many seconds until there is one.")
]


@router.post(
    "",
    status_code=202,
    response_model=Batch,
    responses=problems(400, 408, 409, 413, 415, 422, 423, 429, 503),
    openapi_extra=SUBMISSION,
)
async def submit(request: Request, parts: PartsDep, principal: PrincipalDep) -> Response:
    """Queue many jobs, a line each, when all of them are valid."""
    fields = Fields(request.scope)
    key = idempotency_key(fields.get("idempotency-key"))
    asked = options(fields, USUAL_PRIORITY)
    content_type = (fields.get("content-type") or "").split(";")[0].strip().lower()
    if content_type not in MEDIA_TYPES:
        raise UnsupportedFormat(f"expected Content-Type {' or '.join(MEDIA_TYPES)}, got {content_type[:80] or 'none'}")
    async with contextmanager_in_threadpool(parts.batches.scratch()) as received:
        fingerprint = await _receive(parts, request, received)
        tenant = principal.tenant
        earlier = None if key is None else await parts.broker.files.known(key, fingerprint, tenant)
        batch = earlier or await _accept(parts, principal, received, fingerprint, key, asked)
    parts.admitter.wake()
    headers = {"location": f"/v1/batches/{batch}"} | ({"idempotent-replayed": "true"} if earlier else {})
    return JsonAnswer(batch_json(await known(parts, principal, batch)), 202, headers)


async def _receive(parts: Parts, request: Request, received: Appender) -> str:
    """Keep the body aside; its SHA-256."""
    sha256 = hashlib.sha256()

    def keep(data: bytearray) -> None:
        sha256.update(data)
        received.write(data)

    async for piece in large_pieces(request, MAX_BYTES):
        await parts.threads.run(keep, piece)
    return sha256.hexdigest()


async def _accept(
    parts: Parts, principal: Principal, received: Appender, fingerprint: str, key: str | None, asked: Options
) -> str:
    """Check every line, make them durable, and only then begin the batch."""
    batch, tenant = token_hex(16), principal.tenant
    received.file.seek(0)
    async with contextmanager_in_threadpool(parts.batches.writer(batch, tenant)) as kept:
        with BufferedReader(received.file) as source:
            lines = Lines(source, kept, parts.admission_of(tenant), tenant, key)
            while await run_in_threadpool(lines.check_some):
                pass
        lines.check_end()
        limits = parts.broker.limits
        if lines.total > (limit := min(limits.max_queued, limits.max_tenant_queued)):
            raise TooLarge(f"expected at most as many lines as may wait in the queue, {limit:,}, got {lines.total:,}")
        if lines.releases:
            await run_in_threadpool(parts.spending.pay, lines.releases, principal)
        await run_in_threadpool(kept.commit)
    try:
        begun = await parts.broker.files.open(
            batch, lines.total, fingerprint, key, tenant, cancel_after_ms=asked.cancel_after_ms, priority=asked.priority
        )
    except (IdempotencyConflict, QueueFull, MemoryFull) as error:
        parts.metrics.refused(error, lines.total)
        await run_in_threadpool(parts.batches.delete, batch, tenant)
        raise
    if begun != batch:  # the same request came twice at once
        await run_in_threadpool(parts.batches.delete, batch, tenant)
    return begun


@router.get("", response_model=Batches, responses=problems(400, 503))
async def list_batches(
    parts: PartsDep,
    principal: PrincipalDep,
    cursor: Annotated[
        str | None, Query(pattern=r"^[0-9]{1,19}-[0-9]{1,19}$", description="`next` of the page before.")
    ] = None,
    limit: Annotated[int, Query(ge=1, le=100)] = 20,
) -> Response:
    """List batches, newest first."""
    records, following = await parts.broker.files.page(cursor, limit, principal.tenant)
    page = Batches(batches=[batch_of(record) for record in records], next=following)
    return JsonAnswer(page.model_dump_json(exclude_none=True).encode(), 200)


@router.get("/{batch_id}", response_model=Batch, responses=problems(400, 404, 503))
async def show(
    batch_id: str,
    parts: PartsDep,
    principal: PrincipalDep,
    wait: Annotated[
        float, Query(ge=0, le=MAX_WAIT_S, description="Hold the answer until all jobs are done, for so many seconds.")
    ] = 0,
) -> Response:
    """Show a batch and how many of its jobs are in which state."""
    record = await known(parts, principal, batch_id)
    if wait and record.left:
        await parts.draining.wait(parts.broker.files.wait(batch_id, wait, principal.tenant))
        record = await known(parts, principal, batch_id)
    return JsonAnswer(batch_json(record), 200)


@router.post("/{batch_id}/cancel", status_code=202, response_model=Batch, responses=problems(404, 503))
async def cancel(batch_id: str, parts: PartsDep, principal: PrincipalDep) -> Response:
    """Cancel the jobs of a batch that have not ended; what is finished stays."""
    await parts.broker.files.stop(batch_id, principal.tenant)
    record = await known(parts, principal, batch_id)
    parts.admitter.wake()
    return JsonAnswer(batch_json(record), 202)


@router.get("/{batch_id}/output", response_class=StreamingResponse, responses=LINES)
async def show_output(
    batch_id: str,
    parts: PartsDep,
    principal: PrincipalDep,
    after: Cursor = "0-0",
    limit: Limit = MAX_LINES,
    wait: Wait = 0,
) -> StreamingResponse:
    """The jobs that succeeded by now, in the order in which they ended."""
    return await _listed(parts, await known(parts, principal, batch_id), "output", after, limit, wait)


@router.get("/{batch_id}/errors", response_class=StreamingResponse, responses=LINES)
async def show_errors(
    batch_id: str,
    parts: PartsDep,
    principal: PrincipalDep,
    after: Cursor = "0-0",
    limit: Limit = MAX_LINES,
    wait: Wait = 0,
) -> StreamingResponse:
    """The jobs that ended otherwise by now; one that is tried again leaves this list."""
    return await _listed(parts, await known(parts, principal, batch_id), "errors", after, limit, wait)


async def _listed(
    parts: Parts, batch: FileRecord, name: Literal["output", "errors"], after: str, limit: int, wait: float
) -> StreamingResponse:
    first = parts.broker.files.entries(batch, name, after, min(limit, LINES_AT_ONCE), wait)
    entries = await parts.draining.wait(first) or []
    return StreamingResponse(_pages(parts, batch, name, entries, limit), 200, media_type=NDJSON)


async def _pages(parts: Parts, batch: FileRecord, name: str, entries: list[Entry], limit: int) -> AsyncIterator[bytes]:
    """The lines, read from the queue while they are sent."""
    while entries:
        records = await parts.broker.records([entry.job_id for entry in entries], batch.tenant)
        yield b"".join(line_json(entry, record) for entry, record in zip(entries, records, strict=True))
        limit -= len(entries)
        after = entries[-1].cursor
        entries = await parts.broker.files.entries(batch, name, after, min(limit, LINES_AT_ONCE)) if limit else []


async def known(parts: Parts, principal: Principal, batch_id: str) -> FileRecord:
    """The record of a batch of theirs.

    Raises:
        UnknownBatch: there is none.
    """
    record = await parts.broker.files.record(batch_id, principal.tenant)
    if record is None:
        raise UnknownBatch(
            f"no batch {batch_id[:64]}: expected the id of a batch whose record has not passed its time to live"
        )
    return record
