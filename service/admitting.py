"""Turns the lines of accepted batch files into jobs, and cancels those of files that are to be cancelled.

Any service process does it, step by step, for any file. A step that was begun by a process that died is done again by
another, and changes nothing where it had been done.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable
from contextlib import suppress

from starlette.concurrency import run_in_threadpool

from broker.files import Due, Part
from broker.records import Submission
from broker.service_broker import ServiceBroker
from broker.tasks import end
from mercer.errors import QueueFull, Unavailable
from service.batch_lines import submission_of
from store.batches import BatchFiles

LEASE_MS = 5_000
"""After which another process goes on with a file: a step takes some milliseconds."""

LOOK_S = 1.0
"""How often to look for what another process left behind."""

LINES_AT_ONCE = 500
"""Admitted by one script call, which holds up all others: about 15 ms of the server's time."""

BYTES_AT_ONCE = 2**21
FULL_PAUSE_MS = 200
LOST_PAUSE_MS = 60_000
CANCELLED_AT_ONCE = 200

OLD_S = 3_600
"""A file so old on which nothing is left to do was left by a process that died before it could delete it."""

log = logging.getLogger("mercer.service")


class Admitter:
    """The task that goes on with batch files.

    Args:
        broker: The queue.
        files: Where the lines are.
    """

    def __init__(self, broker: ServiceBroker, files: BatchFiles) -> None:
        self._broker = broker
        self._files = files
        self._bell = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def wake(self) -> None:
        """There is something to do."""
        self._bell.set()
        if self._task is None:
            self._task = asyncio.create_task(self._run(), name="batch admitter")

    async def close(self) -> None:
        """Stop between two steps or within one: the next process goes on."""
        if self._task is not None:
            await end(self._task)

    async def _run(self) -> None:
        await self._patiently(self._clear())
        while True:
            self._bell.clear()
            if not await self._patiently(self._step()):
                with suppress(TimeoutError):
                    async with asyncio.timeout(LOOK_S):
                        await self._bell.wait()

    async def _patiently(self, action: Awaitable[bool]) -> bool:
        try:
            return await action
        except Unavailable:
            return False
        except Exception:
            log.exception("a step of a batch failed")
            return False

    async def _step(self) -> bool:
        """Go on with one file; False when there is none."""
        due = await self._broker.files.due(LEASE_MS)
        if due is None:
            return False
        pause_ms = await self._go_on(due)
        if await self._broker.files.rest(due.id, pause_ms):
            await run_in_threadpool(self._files.delete, due.id, due.tenant)
        return True

    async def _go_on(self, due: Due) -> int:
        """Cancel or admit some lines; how many milliseconds to rest afterwards."""
        if due.stopped and due.swept < due.admitted:
            await self._broker.files.sweep(due.id, due.swept, min(due.swept + CANCELLED_AT_ONCE, due.admitted))
        elif due.admitted < due.total:
            return await self._admit(due)
        return 0

    async def _admit(self, due: Due) -> int:
        try:
            jobs, offset = await run_in_threadpool(self._read, due)
        except KeyError:
            log.error("batch %s: its file is gone from the store", due.id)
            return LOST_PAUSE_MS
        try:
            await self._broker.admit(jobs, Part(due.id, due.admitted, offset))
        except QueueFull:
            return FULL_PAUSE_MS
        return 0

    def _read(self, due: Due) -> tuple[list[Submission], int]:
        lines = self._files.read(due.id, due.tenant, due.offset, LINES_AT_ONCE, BYTES_AT_ONCE)
        jobs = [submission_of(line, due, number) for number, line in enumerate(lines)]
        return jobs, due.offset + sum(map(len, lines)) + len(lines)

    async def _clear(self) -> bool:
        """Delete what processes that died left behind."""
        for batch, tenant in await run_in_threadpool(self._files.older_than, OLD_S):
            if not await self._broker.files.pending(batch):
                await run_in_threadpool(self._files.delete, batch, tenant)
        return True
