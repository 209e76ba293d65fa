"""How much of the clients' bodies is in memory at once, whatever comes: who finds no room waits a while for it."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from mercer.errors import Unavailable

PATIENCE_S = 10.0
"""A client's socket holds what it sends meanwhile; beyond it, it is better told to come again."""

RETRY_AFTER_S = 2


class Room:
    """Bytes to be shared, in the order in which they were asked for.

    Args:
        size_bytes: All of them.
        patience_s: How long to wait for some.
    """

    def __init__(self, size_bytes: int, patience_s: float = PATIENCE_S) -> None:
        self._size = self._free = size_bytes
        self._patience_s = patience_s
        self._queue: deque[tuple[int, asyncio.Future[None]]] = deque()

    @asynccontextmanager
    async def taken(self, size_bytes: int) -> AsyncIterator[None]:
        """Have so many bytes for a while, or all of them if that is less.

        Raises:
            Unavailable: others had them for too long.
        """
        wanted = min(size_bytes, self._size)
        if self._queue or wanted > self._free:
            await self._wait(wanted)
        else:
            self._free -= wanted
        try:
            yield
        finally:
            self._give_back(wanted)

    async def _wait(self, wanted: int) -> None:
        turn = (wanted, asyncio.get_running_loop().create_future())
        self._queue.append(turn)
        try:
            async with asyncio.timeout(self._patience_s):
                await turn[1]
        except BaseException as error:
            self._leave(turn)
            if isinstance(error, TimeoutError):
                detail = "too many large bodies at once: send this one again"
                raise Unavailable(detail, retry_after_s=RETRY_AFTER_S) from None
            raise

    def _leave(self, turn: tuple[int, asyncio.Future[None]]) -> None:
        if turn in self._queue:
            self._queue.remove(turn)
            self._give_back(0)
        else:  # it was its turn in the same moment
            self._give_back(turn[0])

    def _give_back(self, size_bytes: int) -> None:
        self._free += size_bytes
        while self._queue and (self._queue[0][1].done() or self._queue[0][0] <= self._free):
            wanted, turn = self._queue.popleft()
            if not turn.done():
                self._free -= wanted
                turn.set_result(None)
