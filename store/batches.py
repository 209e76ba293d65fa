"""Batch files: received aside, and kept line by line from their acceptance until every line is a job in the queue.

batches/<id>    a line for each job: what it is called and costs, a tab, and its spec in canonical JSON
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager

from store.disk import Appender
from store.objects import Objects, ObjectWriter

PREFIX = "batches/"
READ_BYTES = 2**18


class BatchFiles:
    """The batch files of an object store."""

    def __init__(self, objects: Objects) -> None:
        self._objects = objects

    @contextmanager
    def scratch(self) -> Iterator[Appender]:
        """A nameless file for what a client sends.

        Raises:
            Unavailable: there is no place for it.
        """
        with self._objects.scratch() as file:
            yield Appender(file)

    def writer(self, batch: str) -> AbstractContextManager[ObjectWriter]:
        """Write a batch file; left without a commit, everything is undone.

        Raises:
            Unavailable: there is no room.
        """
        return self._objects.writer(PREFIX + batch)

    def read(self, batch: str, offset: int, max_lines: int, max_bytes: int) -> list[bytes]:
        """Whole lines from an offset on, without their ends: at least one, and only a few bytes more than allowed.

        Raises:
            KeyError: there is no such file.
        """
        lines: list[bytes] = []
        size_bytes, rest = 0, b""
        for chunk in self._objects.read(PREFIX + batch, offset, chunk_bytes=READ_BYTES):
            *whole, rest = (rest + chunk).split(b"\n")
            lines += whole
            size_bytes += len(chunk)
            if len(lines) >= max_lines or (lines and size_bytes >= max_bytes):
                break
        return lines[:max_lines]

    def delete(self, batch: str) -> None:
        """Forget the file."""
        self._objects.delete(PREFIX + batch)

    def older_than(self, seconds: float) -> list[str]:
        """Those whose files were written longer ago."""
        limit = time.time() - seconds
        old = (entry for entry in self._objects.keys(PREFIX) if entry.modified_s < limit)
        return [entry.key.removeprefix(PREFIX) for entry in old]
