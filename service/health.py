"""Whether the service lives, whether it can work, and how much it does."""

from __future__ import annotations

import asyncio

from fastapi import APIRouter
from pydantic import BaseModel
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from mercer.errors import MercerError, Unavailable
from service.documented import problems
from service.parts import Parts, PartsDep

PROBE_S = 2.0
"""Longest look at Redis: a probe that hangs is an answer too."""

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
    """Say whether jobs can be taken: Redis answers, the store can be written, and the service is not ending."""
    reasons = [
        reason for reason in (_ending(parts), await _redis(parts), await run_in_threadpool(_store, parts)) if reason
    ]
    if reasons:
        raise Unavailable("; ".join(reasons), retry_after_s=1)
    return Alive()


@router.get("/metrics", response_class=Response, responses={200: {"content": {"text/plain": {}}}, **problems(503)})
async def metrics(parts: PartsDep) -> Response:
    """Metrics in Prometheus's text format."""
    queued, running = await parts.broker.depth()
    parts.metrics.queued.set(queued)
    parts.metrics.running.set(running)
    parts.metrics.oldest.set((await parts.broker.oldest_queued_ms()) / 1000)
    parts.metrics.workers.set(len(await parts.broker.workers()))
    return Response(parts.metrics.text(), media_type=METRICS_TYPE)


def _ending(parts: Parts) -> str | None:
    return "the service is ending" if parts.draining.started else None


async def _redis(parts: Parts) -> str | None:
    try:
        async with asyncio.timeout(PROBE_S):
            await parts.broker.ping()
    except TimeoutError:
        return f"Redis did not answer within {PROBE_S:g} s"
    except MercerError as error:
        return error.detail
    return None


def _store(parts: Parts) -> str | None:
    try:
        parts.results.probe()
    except MercerError as error:
        return error.detail
    return None
