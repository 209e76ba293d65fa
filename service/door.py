"""Submissions that arrive in one turn of the event loop go to Redis together: one script call instead of many."""

from __future__ import annotations

import asyncio
from itertools import islice
from typing import NamedTuple

from broker.records import Admitted, Submission
from broker.service_broker import ServiceBroker
from mercer.errors import IdempotencyConflict, QueueFull
from telemetry.tracing import Tracing


class _Waiting(NamedTuple):
    submissions: list[Submission]
    admitted: asyncio.Future[list[Admitted]]


class Door:
    """Where jobs enter the queue."""

    def __init__(self, broker: ServiceBroker, tracing: Tracing | None = None) -> None:
        self._broker = broker
        self._tracing = tracing
        self._waiting: list[_Waiting] = []
        self._calls: set[asyncio.Task[None]] = set()

    async def admit(self, submissions: list[Submission]) -> list[Admitted]:
        """Queue them, all or none.

        Raises:
            IdempotencyConflict: a key stands for another job.
            QueueFull: there is no room for all of them.
            Unavailable: Redis is away.
        """
        if self._tracing is None:
            return await self._wait_for(submissions)
        with self._tracing.sending(len(submissions)) as traceparent:
            return await self._wait_for([one._replace(traceparent=traceparent) for one in submissions])

    async def _wait_for(self, submissions: list[Submission]) -> list[Admitted]:
        loop = asyncio.get_running_loop()
        waiting = _Waiting(submissions, loop.create_future())
        self._waiting.append(waiting)
        if len(self._waiting) == 1:
            loop.call_soon(self._open)
        return await waiting.admitted

    def _open(self) -> None:
        together, self._waiting = self._waiting, []
        # Its own task: a client that goes away must not cut off the Redis call that others share.
        call = asyncio.ensure_future(self._admit(together))
        self._calls.add(call)
        call.add_done_callback(self._calls.discard)

    async def _admit(self, together: list[_Waiting]) -> None:
        try:
            admitted = iter(await self._broker.admit([one for waiting in together for one in waiting.submissions]))
        except Exception as error:  # noqa: BLE001 - whoever waits is told, whatever it is
            await self._refused(together, error)
            return
        for waiting in together:
            _answer(waiting, list(islice(admitted, len(waiting.submissions))))

    async def _refused(self, together: list[_Waiting], error: Exception) -> None:
        """One of them was refused, and so all: then each for itself, in one round trip."""
        if len(together) > 1 and isinstance(error, IdempotencyConflict | QueueFull):
            await asyncio.gather(*(self._admit([waiting]) for waiting in together))
        else:
            _refuse(together, error)


def _answer(waiting: _Waiting, admitted: list[Admitted]) -> None:
    if not waiting.admitted.done():
        waiting.admitted.set_result(admitted)


def _refuse(several: list[_Waiting], error: Exception) -> None:
    for waiting in several:
        if not waiting.admitted.done():
            waiting.admitted.set_exception(error)
