"""A job's life as server-sent events, resumable by Last-Event-ID."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import StreamingResponse

from broker.records import Record
from broker.service_broker import Event
from service.documented import problems
from service.draining import Draining
from service.jobs import known
from service.parts import PartsDep
from service.principals import PrincipalDep
from service.records import job_json

PING_S = 15.0
"""Proxies commonly close a connection that is silent for 60 s."""

EVENT = {
    "description": "One event of the stream.",
    "type": "object",
    "properties": {
        "id": {"type": "string"},
        "event": {"enum": ["state", "progress"]},
        "data": {"type": "string", "description": "JSON: a Job, or how far it is."},
    },
    "required": ["id", "event", "data"],
}

router = APIRouter(prefix="/v1", tags=["jobs"])


@router.get(
    "/jobs/{job_id}/events",
    response_class=StreamingResponse,
    responses={
        200: {
            "description": "Events `state` (data: a Job) and `progress`; the stream ends after the terminal state.",
            "content": {"text/event-stream": {"schema": EVENT}},
        },
        **problems(404, 503),
    },
)
async def show_events(job_id: str, request: Request, parts: PartsDep, principal: PrincipalDep) -> StreamingResponse:
    """Follow a job; with the header Last-Event-ID, from after that event."""
    await known(parts, principal, job_id)
    events = parts.broker.events(job_id, request.headers.get("last-event-id"), principal.tenant)
    headers = {"cache-control": "no-store", "x-accel-buffering": "no"}
    return StreamingResponse(_stream(events, parts.draining), 200, headers, media_type="text/event-stream")


async def _stream(events: AsyncIterator[Event], draining: Draining) -> AsyncIterator[bytes]:
    """Events as they come, a comment when none came for long; ends when the service does."""
    while True:
        coming = asyncio.ensure_future(anext(events, None))
        # The read goes on while pings are sent: to cancel it would end the broker's generator.
        while not await draining.wait(_done_within(coming, PING_S)):
            if draining.started:
                coming.cancel()
                return
            yield b": ping\n\n"
        event = coming.result()
        if event is None:
            return
        yield _frame(event)


async def _done_within(coming: asyncio.Future[Event | None], seconds: float) -> bool:
    done, _ = await asyncio.wait({coming}, timeout=seconds)
    return bool(done)


def _frame(event: Event) -> bytes:
    identity, name, data = event
    text = job_json(data).decode() if isinstance(data, Record) else json.dumps({"progress": data})
    return f"id: {identity}\nevent: {name}\ndata: {text}\n\n".encode()
