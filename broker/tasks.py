"""Ending tasks that talk to Redis."""

from __future__ import annotations

import asyncio

CANCEL_AGAIN_S = 0.05


async def end(*tasks: asyncio.Task[None]) -> None:
    """Cancel them until all have ended: redis-py swallows a cancellation that comes while it connects or reads."""
    left = {task for task in tasks if not task.done()}
    while left:
        for task in left:
            task.cancel()
        _, left = await asyncio.wait(left, timeout=CANCEL_AGAIN_S)
