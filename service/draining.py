"""Ending well: once SIGTERM came, nothing may wait any longer for something that may not happen soon."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


class Draining:
    """Whether the service is ending, and what still waits."""

    def __init__(self) -> None:
        self.started = False
        self._waiting: set[asyncio.Task[Any]] = set()

    def start(self) -> None:
        """End every wait now; long polls answer with what they know and event streams close."""
        self.started = True
        for task in self._waiting:
            task.cancel()

    async def wait(self, awaited: Coroutine[Any, Any, T]) -> T | None:
        """What the coroutine gives, or None when the service begins to end before."""
        if self.started:
            awaited.close()
            return None
        task = asyncio.ensure_future(awaited)
        self._waiting.add(task)
        try:
            return await task
        except asyncio.CancelledError:
            if self.started and task.cancelled():
                return None
            raise
        finally:
            self._waiting.discard(task)
