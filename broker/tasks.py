"""Ending a task that talks to Redis."""

from __future__ import annotations

import asyncio

CANCEL_AGAIN_S = 0.05


async def end(task: asyncio.Task[None]) -> None:
    """Cancel it until it has ended: redis-py swallows a cancellation that comes while it connects or reads."""
    while not task.done():
        task.cancel()
        await asyncio.wait({task}, timeout=CANCEL_AGAIN_S)
