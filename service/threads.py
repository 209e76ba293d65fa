"""Threads for uploads, few of them: forty that want Python's lock at once keep the event loop waiting for its turn."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import ParamSpec, TypeVar

from starlette.concurrency import run_in_threadpool

P = ParamSpec("P")
T = TypeVar("T")

AT_ONCE = 4
"""Most of the time they wait for the disk."""

SWITCH_S = 0.001
"""How long a thread may keep Python's lock while the event loop waits for it; Python's own 5 ms are a lot."""


class Threads:
    """Runs a few things at a time in threads, in the order in which they come."""

    def __init__(self) -> None:
        self._turns = asyncio.Semaphore(AT_ONCE)

    async def run(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """What it returns."""
        async with self._turns:
            return await run_in_threadpool(work, *args, **kwargs)
