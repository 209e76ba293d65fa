"""How a process hears that jobs changed: one pub/sub connection wakes everybody who waits for one of them."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Awaitable, Callable, Iterable, Iterator
from contextlib import contextmanager, suppress

from redis.asyncio import Redis
from redis.exceptions import RedisError

from broker.keys import channels
from broker.tasks import end
from mercer.errors import Unavailable

RECHECK_S = 1.0
"""Pub/sub forgets what was published while a connection was down: how late a waiter hears of it."""

RECHECKED_AT_ONCE = 1000
HEALTH_CHECK_S = 10
RECONNECT_S = 0.1


class Watch:
    """Somebody who waits for some jobs."""

    def __init__(self) -> None:
        self.woken = asyncio.Event()
        self.ended: set[str] = set()
        """Those of its jobs that reached a terminal state."""

    async def wait(self, timeout_s: float) -> bool:
        """Whether any of its jobs changed in that time."""
        try:
            async with asyncio.timeout(timeout_s):
                await self.woken.wait()
        except TimeoutError:
            return False
        self.woken.clear()
        return True


class Wakes:
    """Everybody in this process who waits for jobs.

    Args:
        url: Where Redis is.
        namespace: Whose channels to hear.
        ended: Answers which of the jobs have ended.
    """

    def __init__(self, url: str, namespace: str, ended: Callable[[list[str]], Awaitable[set[str]]]) -> None:
        self._redis: Redis = Redis.from_url(url, health_check_interval=HEALTH_CHECK_S)
        self._channels = channels(namespace)
        self._ended = ended
        self._watches: defaultdict[str, set[Watch]] = defaultdict(set)
        self._tasks: list[asyncio.Task[None]] = []

    @contextmanager
    def watching(self, ids: Iterable[str]) -> Iterator[Watch]:
        """Hear of these jobs for as long as the context lasts."""
        if not self._tasks:
            self._tasks = [asyncio.create_task(self._listen()), asyncio.create_task(self._recheck())]
        watch, ids = Watch(), list(ids)
        for job_id in ids:
            self._watches[job_id].add(watch)
        try:
            yield watch
        finally:
            for job_id in ids:
                self._watches[job_id].discard(watch)
                if not self._watches[job_id]:
                    del self._watches[job_id]

    async def close(self) -> None:
        """Stop listening."""
        await end(*self._tasks)
        await self._redis.aclose()

    async def _listen(self) -> None:
        while True:
            with suppress(RedisError, OSError):
                await self._hear()
            await asyncio.sleep(RECONNECT_S)

    async def _hear(self) -> None:
        ended, _ = self._channels
        async with self._redis.pubsub() as pubsub:
            await pubsub.subscribe(*self._channels)
            async for message in pubsub.listen():
                if message["type"] == "subscribe":
                    await self._look()  # for what was published before
                else:
                    self._wake(message["data"].decode().split(), ended=message["channel"].decode() == ended)

    def _wake(self, ids: Iterable[str], *, ended: bool) -> None:
        for job_id in ids:
            for watch in self._watches.get(job_id, ()):
                if ended:
                    watch.ended.add(job_id)
                watch.woken.set()

    async def _recheck(self) -> None:
        while True:
            await asyncio.sleep(RECHECK_S)
            await self._look()

    async def _look(self) -> None:
        ids = list(self._watches)
        for start in range(0, len(ids), RECHECKED_AT_ONCE):
            with suppress(Unavailable):
                self._wake(await self._ended(ids[start : start + RECHECKED_AT_ONCE]), ended=True)
