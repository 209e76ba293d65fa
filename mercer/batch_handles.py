"""Batches as the user holds them: `for name, array in client.batch(jobs).results(): ...`."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from typing import Any, Generic, TypeVar

import numpy as np

from mercer.batch_flows import all_lines, array_of, cancel_batch, fetch_batch, next_results, wait_batch
from mercer.batches import Batch, BatchLine
from mercer.downloads import Watch
from mercer.progress import Progress, watching
from mercer.transport import AsyncTransport, SyncTransport
from mercer.waiting import Fetched, answer_of

Transport = TypeVar("Transport", SyncTransport, AsyncTransport)


class _Handle(Generic[Transport]):
    """What both kinds of handles know without asking the service."""

    def __init__(self, transport: Transport, record: Batch) -> None:
        self._transport: Transport = transport
        self.record = record
        """The batch as the service last described it."""

    @property
    def id(self) -> str:
        """Its name, for `client.find_batch(id)`."""
        return self.record.id

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.id} {self.record.status}>"


class BatchHandle(_Handle[SyncTransport]):
    """A submitted batch."""

    def refresh(self) -> Batch:
        """Its record now."""
        self.record = self._transport.run(fetch_batch(self.id))
        return self.record

    def wait(self, timeout_s: float | None = None, *, progress: Progress = None) -> Batch:
        """Its record, once all of its jobs have ended, well or not.

        Raises:
            WaitTimeout: they had not after `timeout_s` seconds; they go on.
        """
        with watching(progress, self.id) as watch:
            self.record = self._transport.run(wait_batch(self.record, timeout_s, watch))
        return self.record

    def results(self, *, progress: Progress = None) -> Iterator[tuple[str, Any]]:
        """Each custom_id that succeeded with its result, in the order in which they end, while the batch runs.

        A result is what JobHandle.result gives: an array, unless the kind of job has more to tell.
        """
        with watching(progress, self.id) as watch:
            for page in self.pages("", watch):
                for fetched in page:
                    yield fetched.line.custom_id, answer_of(fetched.kind, fetched.answer, self.array(fetched))

    def pages(self, after: str, watch: Watch | None) -> Iterator[list[Fetched]]:
        """The lines of the output behind a cursor, many at a time, until the batch has ended."""
        more = True
        while more:
            page, more = self._transport.run(next_results(self.id, after, watch))
            after = page[-1].line.cursor if page else after
            yield page

    def array(self, fetched: Fetched) -> np.ndarray[Any, Any]:
        """The numbers of the result of a line of a page."""
        return self._transport.run(array_of(fetched))

    def output(self) -> list[BatchLine]:
        """The jobs that succeeded by now, each with what its kind tells of the result: `line.result.facts`."""
        return self._transport.run(all_lines(self.id, "output"))

    def errors(self) -> list[BatchLine]:
        """The jobs that ended without a result by now, each with the reason."""
        return self._transport.run(all_lines(self.id, "errors"))

    def cancel(self) -> Batch:
        """Cancel the jobs that have not ended; what is finished stays."""
        self.record = self._transport.run(cancel_batch(self.id))
        return self.record


class AsyncBatchHandle(_Handle[AsyncTransport]):
    """A submitted batch of an AsyncClient: as BatchHandle, with await."""

    async def refresh(self) -> Batch:
        """Its record now."""
        self.record = await self._transport.run(fetch_batch(self.id))
        return self.record

    async def wait(self, timeout_s: float | None = None, *, progress: Progress = None) -> Batch:
        """See BatchHandle.wait."""
        with watching(progress, self.id) as watch:
            self.record = await self._transport.run(wait_batch(self.record, timeout_s, watch))
        return self.record

    async def results(self, *, progress: Progress = None) -> AsyncIterator[tuple[str, Any]]:
        """See BatchHandle.results."""
        after, more = "", True
        with watching(progress, self.id) as watch:
            while more:
                page, more = await self._transport.run(next_results(self.id, after, watch))
                for fetched in page:
                    array = await self._transport.run(array_of(fetched))
                    yield fetched.line.custom_id, answer_of(fetched.kind, fetched.answer, array)
                    after = fetched.line.cursor

    async def output(self) -> list[BatchLine]:
        """See BatchHandle.output."""
        return await self._transport.run(all_lines(self.id, "output"))

    async def errors(self) -> list[BatchLine]:
        """See BatchHandle.errors."""
        return await self._transport.run(all_lines(self.id, "errors"))

    async def cancel(self) -> Batch:
        """See BatchHandle.cancel."""
        self.record = await self._transport.run(cancel_batch(self.id))
        return self.record
