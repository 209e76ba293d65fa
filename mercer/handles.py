"""Jobs as the user holds them: `job.result()`, and `as_completed(jobs)`."""

from __future__ import annotations

import asyncio
import math
import os
import random
import time
from collections import deque
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Generic, Self, TypeVar, overload

from mercer.events import AWAY, Event, EventStream
from mercer.jobs import Job, State
from mercer.progress import Progress, watching
from mercer.steps import Flow
from mercer.transport import AsyncTransport, SyncTransport
from mercer.waiting import Tracked, answer_of, change, fetch_job, next_finished, result, save, wait

Transport = TypeVar("Transport", SyncTransport, AsyncTransport)


class _Handle(Generic[Transport]):
    """What both kinds of handles know without asking the service."""

    def __init__(self, transport: Transport, record: Job) -> None:
        self._transport: Transport = transport
        self._tracked = Tracked(record)

    @property
    def record(self) -> Job:
        """The job as the service last described it."""
        return self._tracked.record

    @property
    def id(self) -> str:
        """Its name, for `client.job(id)`."""
        return self.record.id

    @property
    def state(self) -> State:
        """As last seen."""
        return self.record.state

    @property
    def done(self) -> bool:
        """Whether it had finished when last seen."""
        return self.record.done

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.id} {self.state}>"


@contextmanager
def _goes_on(job_id: str) -> Iterator[None]:
    """Ctrl-C ends the waiting, not the job."""
    try:
        yield
    except KeyboardInterrupt as interrupt:
        interrupt.add_note(f"Job {job_id} goes on; client.job({job_id!r}).result() waits for it again.")
        raise


class JobHandle(_Handle[SyncTransport]):
    """A submitted job."""

    def refresh(self) -> Job:
        """Its record now."""
        self._tracked.record = self._transport.run(fetch_job(self.id))
        return self.record

    def wait(self, timeout_s: float | None = None, *, progress: Progress = False) -> Job:
        """Its record, once it has finished, well or not.

        Raises:
            WaitTimeout: it had not after `timeout_s` seconds; it goes on.
        """
        with watching(progress, self.id) as watch, _goes_on(self.id):
            return self._transport.run(wait(self._tracked, timeout_s, watch))

    def result(self, timeout_s: float | None = None, *, progress: Progress = None) -> Any:
        """Its result, once it has finished: an array, unless its kind has more to tell; the second call asks nobody.

        Args:
            timeout_s: For how long to wait; without end when None.
            progress: None shows a bar on a terminal; True, False, or a function of phase and fraction.

        Raises:
            JobFailed: or JobCancelled, JobExpired, JobDead: it ended without a result, and why.
            WaitTimeout: it had not finished after `timeout_s` seconds; it goes on.
        """
        if (array := self._tracked.array) is not None:
            return answer_of(self._tracked.kind, self._tracked.answer, array)
        with watching(progress, self.id) as watch, _goes_on(self.id):
            return self._transport.run(result(self._tracked, timeout_s, watch))

    def save(self, path: str | os.PathLike[str], timeout_s: float | None = None, *, progress: Progress = None) -> Path:
        """Stream its result into an npy file, for results larger than memory; open it with np.load(mmap_mode="r").

        Raises:
            JobFailed: or JobCancelled, JobExpired, JobDead: it ended without a result, and why.
            WaitTimeout: it had not finished after `timeout_s` seconds; it goes on.
        """
        with watching(progress, self.id) as watch, _goes_on(self.id):
            return self._transport.run(save(self._tracked, Path(path), timeout_s, watch))

    def cancel(self) -> Job:
        """Ask for it to be stopped: at once while it is queued, soon while it runs."""
        self._tracked.record = self._transport.run(change(self.id, "cancel"))
        return self.record

    def retry(self) -> Job:
        """Queue it again, after it ended without a result."""
        self._tracked.record = self._transport.run(change(self.id, "retry"))
        return self.record

    def events(self) -> Iterator[Event]:
        """What happens to it, until it has finished; goes on after a lost connection."""
        stream = EventStream(self.id)
        while not stream.ended:
            try:
                for line in self._transport.lines(stream.request()):
                    if (event := stream.feed(line)) is not None:
                        yield event
                stream.check_end()
            except AWAY as error:
                time.sleep(stream.rest_s(error, random.random()))


class AsyncJobHandle(_Handle[AsyncTransport]):
    """A submitted job of an AsyncClient: as JobHandle, with await."""

    async def refresh(self) -> Job:
        """Its record now."""
        self._tracked.record = await self._transport.run(fetch_job(self.id))
        return self.record

    async def wait(self, timeout_s: float | None = None, *, progress: Progress = False) -> Job:
        """See JobHandle.wait."""
        with watching(progress, self.id) as watch:
            return await self._transport.run(wait(self._tracked, timeout_s, watch))

    async def result(self, timeout_s: float | None = None, *, progress: Progress = None) -> Any:
        """See JobHandle.result."""
        with watching(progress, self.id) as watch:
            return await self._transport.run(result(self._tracked, timeout_s, watch))

    async def save(
        self, path: str | os.PathLike[str], timeout_s: float | None = None, *, progress: Progress = None
    ) -> Path:
        """See JobHandle.save."""
        with watching(progress, self.id) as watch:
            return await self._transport.run(save(self._tracked, Path(path), timeout_s, watch))

    async def cancel(self) -> Job:
        """See JobHandle.cancel."""
        self._tracked.record = await self._transport.run(change(self.id, "cancel"))
        return self.record

    async def retry(self) -> Job:
        """See JobHandle.retry."""
        self._tracked.record = await self._transport.run(change(self.id, "retry"))
        return self.record

    async def events(self) -> AsyncIterator[Event]:
        """See JobHandle.events."""
        stream = EventStream(self.id)
        while not stream.ended:
            try:
                async for line in self._transport.lines(stream.request()):
                    if (event := stream.feed(line)) is not None:
                        yield event
                stream.check_end()
            except AWAY as error:
                await asyncio.sleep(stream.rest_s(error, random.random()))


H = TypeVar("H", JobHandle, AsyncJobHandle)


class Completed(Generic[H]):
    """The handles that finish, in turn: an iterator of a Client's handles, an async one of an AsyncClient's."""

    def __init__(self, jobs: Iterable[H], timeout_s: float | None) -> None:
        self._handles: dict[str, H] = {job.id: job for job in jobs}
        self._pending = {job_id: job._tracked for job_id, job in self._handles.items()}
        self._ready: deque[H] = deque()
        self._until = math.inf if timeout_s is None else time.monotonic() + timeout_s

    def __iter__(self) -> Self:
        return self

    def __aiter__(self) -> Self:
        return self

    def __next__(self: Completed[JobHandle]) -> JobHandle:
        if not self._ready and self._pending:
            self._finished(self._transport().run(self._next_finished()))
        if not self._ready:
            raise StopIteration
        return self._ready.popleft()

    async def __anext__(self: Completed[AsyncJobHandle]) -> AsyncJobHandle:
        if not self._ready and self._pending:
            self._finished(await self._transport().run(self._next_finished()))
        if not self._ready:
            raise StopAsyncIteration
        return self._ready.popleft()

    def _transport(self) -> Any:
        return self._handles[next(iter(self._pending))]._transport

    def _next_finished(self) -> Flow[list[Tracked]]:
        return next_finished(self._pending, self._until)

    def _finished(self, jobs: list[Tracked]) -> None:
        self._ready.extend(self._handles[job.record.id] for job in jobs)


@overload
def as_completed(jobs: Iterable[JobHandle], *, timeout_s: float | None = None) -> Completed[JobHandle]: ...
@overload
def as_completed(jobs: Iterable[AsyncJobHandle], *, timeout_s: float | None = None) -> Completed[AsyncJobHandle]: ...
def as_completed(jobs: Iterable[Any], *, timeout_s: float | None = None) -> Any:
    """The jobs, each as soon as it has finished, well or not; results of up to 1 MB are then already here.

    A thousand small jobs cost a few requests: the waiting and the fetching are done for many at once.

    Args:
        jobs: Handles of one client; use `async for` when it is an AsyncClient.
        timeout_s: For how long to wait for all of them; without end when None.

    Raises:
        WaitTimeout: while iterating; the jobs go on.
    """
    return Completed(jobs, timeout_s)
