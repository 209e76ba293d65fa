"""Taking what is there without a timer: a small body is in memory before anybody asks, and a timer costs 3 us."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Generator
from typing import Any, TypeVar

T = TypeVar("T")


async def within(seconds: float, awaitable: Awaitable[T]) -> tuple[T, float]:
    """What it returns, and after how many seconds; the timer is set only if it has to wait.

    Raises:
        TimeoutError: it took longer.
    """
    steps = awaitable.__await__()
    try:
        first = next(steps)
    except StopIteration as ended:
        return ended.value, 0.0
    now_s = asyncio.get_running_loop().time
    started_s = now_s()
    async with asyncio.timeout(seconds):
        return await _Rest(steps, first), now_s() - started_s


class _Rest:
    """The rest of a coroutine that has begun to wait for something."""

    def __init__(self, steps: Generator[Any, Any, Any], waited_for: Any) -> None:
        self._steps = steps
        self._waited_for = waited_for

    def __await__(self) -> Generator[Any, Any, Any]:
        waited_for = self._waited_for
        while True:
            step: Callable[[], Any] = self._steps.__next__
            try:
                yield waited_for
            except BaseException as error:  # noqa: BLE001 - it is the coroutine's to handle
                step = _thrower(self._steps, error)
            try:
                waited_for = step()
            except StopIteration as ended:
                return ended.value


def _thrower(steps: Generator[Any, Any, Any], error: BaseException) -> Callable[[], Any]:
    return lambda: steps.throw(error)
