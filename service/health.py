"""Whether the service lives, whether it can work, and how much it does."""

from __future__ import annotations

import asyncio
import shutil

from fastapi import APIRouter
from pydantic import BaseModel
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from broker.webhooks import HookDepth
from mercer.errors import MercerError, Unavailable
from service.documented import problems
from service.parts import Parts, PartsDep
from service.queue_metrics import Room, Seen

PROBE_S = 2.0
"""Longest look at Redis: a probe that hangs is an answer too."""

GIB = 2**30
"""The free bytes are told in whole ones: exact, they would tell the size of every upload, a private one's too."""

METRICS_TYPE = "text/plain; version=0.0.4"

router = APIRouter(tags=["health"])


class Alive(BaseModel):
    """The process answers."""

    status: str = "ok"


@router.get("/livez")
async def live() -> Alive:
    """Say that the process answers; nothing else is looked at."""
    return Alive()


@router.get("/readyz", responses=problems(503))
async def ready(parts: PartsDep) -> Alive:
    """Say whether jobs can be taken: Redis and the store can be written, and the service is not ending."""
    reasons = [
        reason for reason in (_ending(parts), await _redis(parts), await run_in_threadpool(_store, parts)) if reason
    ]
    if reasons:
        raise Unavailable("; ".join(reasons), retry_after_s=1)
    return Alive()


@router.get("/metrics", response_class=Response, responses={200: {"content": {"text/plain": {}}}})
async def metrics(parts: PartsDep) -> Response:
    """Metrics in Prometheus's text format; those of the queue only while Redis answers."""
    parts.metrics.queue.seen = await _seen(parts)
    parts.metrics.webhooks.seen = await _hooks_seen(parts)
    parts.metrics.queue.room = await run_in_threadpool(_room, parts)
    return Response(parts.metrics.text(), media_type=METRICS_TYPE)


async def _seen(parts: Parts) -> Seen | None:
    try:
        async with asyncio.timeout(PROBE_S):
            broker = parts.broker
            workers, writes = len(await broker.workers()), await broker.fault() is None
            return Seen(await broker.queue_depth(), workers, writes, broker.limits.memory)
    except (TimeoutError, MercerError):
        return None


async def _hooks_seen(parts: Parts) -> HookDepth | None:
    try:
        async with asyncio.timeout(PROBE_S):
            return await parts.broker.webhooks.depth()
    except (TimeoutError, MercerError):
        return None


def _room(parts: Parts) -> Room | None:
    if parts.settings.store_url is not None:
        return None
    try:
        usage = shutil.disk_usage(parts.settings.data_dir)
    except OSError:
        return None
    return Room(usage.free // GIB * GIB, usage.total)


def _ending(parts: Parts) -> str | None:
    return "the service is ending" if parts.draining.started else None


async def _redis(parts: Parts) -> str | None:
    try:
        async with asyncio.timeout(PROBE_S):
            return await parts.broker.fault()
    except TimeoutError:
        return f"Redis did not answer within {PROBE_S:g} s"
    except MercerError as error:
        return error.detail


def _store(parts: Parts) -> str | None:
    try:
        parts.results.probe()
    except MercerError as error:
        return error.detail
    return None
