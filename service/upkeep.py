"""What the service does for the queue on time: it stops jobs at their deadlines, and sees how full the memory is.

Every service process does it, so that it is done while one lives.
"""

from __future__ import annotations

import asyncio
import logging
from types import TracebackType
from typing import Self

from broker.service_broker import ServiceBroker
from broker.tasks import end
from mercer.errors import Unavailable

LOOK_S = 0.5
"""How often to look for deadlines that came through another process: half of the shortest one."""

log = logging.getLogger("mercer.service")


class Upkeep:
    """The task that does it, inside an `async with`.

    Args:
        broker: The queue.
    """

    def __init__(self, broker: ServiceBroker) -> None:
        self._broker = broker

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._run(), name="upkeep")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await end(self._task)

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(await self._look())

    async def _look(self) -> float:
        """Stop what is due; for how long to rest then."""
        try:
            next_s, _ = await asyncio.gather(self._broker.expire(), self._broker.look_at_memory())
        except Unavailable:
            return LOOK_S
        except Exception:
            log.exception("the queue was not looked after")
            return LOOK_S
        return LOOK_S if next_s is None else min(next_s, LOOK_S)
