"""Batch files: received aside, and kept line by line from their acceptance until every line is a job in the queue.

batches/<id>    a line for each job: what it is called and costs, a tab, and its spec in canonical JSON

Those of another tenant than `default` are below tenants/<tenant>/.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager

from store.disk import Appender
from store.objects import Objects, ObjectWriter
from store.tenants import of_all_tenants, prefix_of, tenant_of, without_tenant

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

    def writer(self, batch: str, tenant: str) -> AbstractContextManager[ObjectWriter]:
        """Write a tenant's batch file; left without a commit, everything is undone.

        Raises:
            Unavailable: there is no room.
        """
        return self._objects.writer(_path(tenant, batch))

    def read(self, batch: str, tenant: str, offset: int, max_lines: int, max_bytes: int) -> list[bytes]:
        """Whole lines from an offset on, without their ends: at least one, and only a few bytes more than allowed.

        Raises:
            KeyError: there is no such file.
        """
        lines: list[bytes] = []
        size_bytes, rest = 0, b""
        for chunk in self._objects.read(_path(tenant, batch), offset, chunk_bytes=READ_BYTES):
            *whole, rest = (rest + chunk).split(b"\n")
            lines += whole
            size_bytes += len(chunk)
            if len(lines) >= max_lines or (lines and size_bytes >= max_bytes):
                break
        return lines[:max_lines]

    def delete(self, batch: str, tenant: str) -> None:
        """Forget the file."""
        self._objects.delete(_path(tenant, batch))

    def older_than(self, seconds: float) -> list[tuple[str, str]]:
        """The ids and tenants of those whose files were written longer ago."""
        limit = time.time() - seconds
        old = (entry.key for entry in of_all_tenants(self._objects, PREFIX) if entry.modified_s < limit)
        return [(without_tenant(key).removeprefix(PREFIX), tenant_of(key)) for key in old]


def _path(tenant: str, batch: str) -> str:
    return f"{prefix_of(tenant)}{PREFIX}{batch}"
