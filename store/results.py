"""Results of jobs: what a batch computed becomes durable together, each answer an npy file inside a larger object."""

from __future__ import annotations

import math
import secrets
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any, NamedTuple

import numpy as np

from mercer.arrays import header_bytes
from mercer.errors import NoResult
from mercer.tenants import DEFAULT_TENANT
from store.objects import Objects, ObjectWriter
from store.tenants import of_all_tenants, prefix_of

PREFIX = "results/"

OWN_OBJECT_BYTES = 8 * 2**20
"""A larger answer is an object of its own: when its disk runs full it is dropped at once and harms no other."""


class Stored(NamedTuple):
    """Where an answer's npy file is."""

    object: str
    offset: int
    length: int


class ResultBatch:
    """The answers of one batch, invisible until the commit."""

    def __init__(self, objects: Objects, prefix: str, name: str, opened: ExitStack) -> None:
        self._objects = objects
        self._prefix = prefix
        self._name = name
        self._opened = opened
        self._writers: list[ObjectWriter] = []
        self._shared: tuple[str, ObjectWriter] | None = None

    def add(self, shape: tuple[int, ...], dtype: np.dtype[Any], blocks: Iterable[np.ndarray[Any, Any]]) -> Stored:
        """Write one answer, its blocks as they come.

        Args:
            shape: Of the whole answer.
            dtype: Of every block.
            blocks: C-contiguous blocks of whole rows, in order.

        Raises:
            Unavailable: it cannot be stored. The answers added before and after are not harmed.
        """
        header = header_bytes(shape, dtype)
        length = len(header) + math.prod(shape) * dtype.itemsize
        if length > OWN_OBJECT_BYTES:
            return self._add_alone(header, blocks, length)
        return self._add_shared(header, blocks, length)

    def add_together(self, arrays: Sequence[np.ndarray[Any, Any]]) -> list[Stored]:
        """Write whole C-contiguous answers of at most OWN_OBJECT_BYTES each; quicker than one by one.

        Raises:
            Unavailable: they cannot be stored. The answers added before and after are not harmed.
        """
        if not arrays:
            return []
        key, writer = self._shared = self._shared or self._open_shared()
        stored: list[Stored] = []
        parts: list[bytes | memoryview] = []
        end = writer.size
        for array in arrays:
            header = header_bytes(array.shape, array.dtype)
            length = len(header) + array.nbytes
            stored.append(Stored(key, end, length))
            parts += (header, array.data)
            end += length
        writer.write_all(parts)
        return stored

    def commit(self) -> None:
        """Make all answers durable: one fsync for the small ones together, one for each large one.

        Raises:
            Unavailable: they cannot be stored.
        """
        for writer in self._writers:
            writer.commit()

    def _add_alone(self, header: bytes, blocks: Iterable[np.ndarray[Any, Any]], length: int) -> Stored:
        key = self._key()
        with ExitStack() as undo:
            writer = undo.enter_context(self._objects.writer(key, expected_bytes=length))
            _write(writer, header, blocks, length)
            self._opened.push(undo.pop_all())
        self._writers.append(writer)
        return Stored(key, 0, length)

    def _add_shared(self, header: bytes, blocks: Iterable[np.ndarray[Any, Any]], length: int) -> Stored:
        key, writer = self._shared = self._shared or self._open_shared()
        # An answer that failed half-way leaves its bytes behind: nothing refers to them, and the next begins after.
        offset = writer.size
        _write(writer, header, blocks, length)
        return Stored(key, offset, length)

    def _open_shared(self) -> tuple[str, ObjectWriter]:
        key = self._key()
        writer = self._opened.enter_context(self._objects.writer(key))
        self._writers.append(writer)
        return key, writer

    def _key(self) -> str:
        token = secrets.token_hex(8)
        # 16 folders keep each small enough to list; a new one takes as long to be durable as all the rest of a commit.
        return f"{self._prefix}{token[0]}/{self._name}-{token}"


class Results:
    """What the jobs of a tenant gave, kept until it expires."""

    def __init__(self, objects: Objects, tenant: str = DEFAULT_TENANT) -> None:
        self._objects = objects
        self._prefix = prefix_of(tenant) + PREFIX

    def of(self, tenant: str) -> Results:
        """Those of another tenant."""
        return Results(self._objects, tenant)

    @contextmanager
    def batch(self, name: str) -> Iterator[ResultBatch]:
        """Store the answers of one batch; left without a commit, everything is undone.

        Args:
            name: Part of the objects' keys, to find whose they are; it need not be unique.
        """
        with ExitStack() as opened:
            yield ResultBatch(self._objects, self._prefix, name, opened)

    def read(self, object: str, offset: int, length: int, start: int = 0, stop: int | None = None) -> Iterator[bytes]:
        """Bytes start to stop of one answer's npy file, in chunks; or of those of several, one after another.

        Raises:
            NoResult: it has passed its time to live.
        """
        end = length if stop is None else min(stop, length)
        try:
            return self._objects.read(object, offset + start, offset + end)
        except KeyError:
            raise NoResult("The result has passed its time to live: submit the job again.") from None

    def probe(self) -> None:
        """See that results can be stored.

        Raises:
            Unavailable: they cannot be now.
        """
        self._objects.probe()

    def expire(self, older_than_s: float) -> int:
        """Delete all tenants' objects written longer ago than this, and what dead workers left; returns how many.

        Raises:
            Unavailable: the store cannot be reached.
        """
        self._objects.clear_abandoned()
        limit = time.time() - older_than_s
        old = (entry.key for entry in of_all_tenants(self._objects, PREFIX) if entry.modified_s < limit)
        return sum(self._objects.delete(key) for key in old)


def _write(writer: ObjectWriter, header: bytes, blocks: Iterable[np.ndarray[Any, Any]], length: int) -> None:
    start = writer.size
    writer.write(header)
    for block in blocks:
        writer.write(block.data)
    if (written := writer.size - start) != length:
        raise ValueError(f"expected blocks of {length - len(header)} bytes in all, got {written - len(header)}")
