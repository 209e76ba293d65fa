"""Objects in a bucket of an S3-compatible service, each made visible by one conditional request.

A crash at any moment leaves a committed object whole and an uncommitted one invisible: its parts are a multipart
upload, which `clear_abandoned` ends when nobody has added to it for long.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from io import FileIO
from typing import Any
from uuid import uuid4

from mercer.errors import Unavailable
from store.bucket import Bucket, Location
from store.cache import Cache
from store.objects import Entry, UnsuitableStore, check_key
from store.s3_client import STREAM_FAULTS
from store.s3_writer import Parts, S3Writer

ABANDONED_S = 86_400
"""A multipart upload so old, and so long without a new part, belongs to a process that died."""

RESUMES = 3
"""How often a download goes on after its connection broke."""

PROBE = ".probe"
"""Begins the names of what is written to see whether it can be: no key does."""


class S3Objects:
    """Immutable objects under a prefix of a bucket.

    Args:
        location: Which bucket and prefix; credentials, endpoint and region come from the AWS_* environment.
        cache: Where objects are copied to be mapped, and where work in progress lies.
    """

    def __init__(self, location: Location, cache: Cache) -> None:
        self._bucket = Bucket(location)
        self._prober = Bucket(location, patient=False)
        self._cache = cache

    @contextmanager
    def writer(self, key: str, *, expected_bytes: int = 0) -> Iterator[S3Writer]:
        """Write an object; left without a commit, everything is undone.

        Raises:
            Unavailable: it cannot be stored.
        """
        with closing(S3Writer(self._bucket, check_key(key), expected_bytes)) as writer:
            yield writer

    def read(self, key: str, start: int = 0, stop: int | None = None, chunk_bytes: int = 1 << 20) -> Iterator[bytes]:
        """Bytes start to stop, in chunks; the object is opened before the first chunk is asked for.

        Raises:
            KeyError: there is no such object.
            Unavailable: it cannot be read.
        """
        if stop is not None and stop <= start:
            if self.size(key) is None:
                raise KeyError(key)
            return iter(())
        body = self._bucket.get(check_key(key), start, stop)
        return iter(()) if body is None else self._chunks(body, key, start, stop, chunk_bytes)

    def size(self, key: str) -> int | None:
        """In bytes; None when there is no such object.

        Raises:
            Unavailable: nobody can say.
        """
        return self._bucket.size(check_key(key))

    def local_file(self, key: str) -> FileIO:
        """A local copy, to be mapped. One that this machine has is not compared with the bucket: objects never change.

        Raises:
            KeyError: there is no such object.
            Unavailable: it cannot be read, or there is no room for it.
        """
        if (file := self._cache.get(key)) is not None:
            return file
        if (size := self.size(key)) is None:
            raise KeyError(key)
        return self._cache.fill(key, size, partial(self.read, key))

    def keys(self, prefix: str) -> Iterator[Entry]:
        """Every object whose key begins so, in no order.

        Raises:
            Unavailable: nobody can say.
        """
        for entry in self._bucket.listed(prefix):
            if not entry.name.startswith("."):
                yield Entry(entry.name, entry.size, entry.modified.timestamp())

    def delete(self, key: str) -> bool:
        """Delete it; False when there was none. Whoever reads it now reads on, from a copy or as far as it has come.

        Raises:
            Unavailable: it cannot be deleted.
        """
        self._cache.forget(key)
        known = self.size(key) is not None
        if known:
            self._bucket.delete(key)
        return known

    def scratch(self) -> AbstractContextManager[FileIO]:
        """A nameless local file, gone when it is closed or the process dies.

        Raises:
            Unavailable: there is no place for it.
        """
        return self._cache.scratch()

    def probe(self) -> None:
        """Write a little, without patience.

        Raises:
            Unavailable: objects cannot be stored now.
        """
        self._prober.put(PROBE, b"probe")

    def clear_abandoned(self) -> None:
        """End the uploads of processes that died.

        Raises:
            Unavailable: nobody can say which there are.
        """
        self._cache.clear_abandoned()
        limit = datetime.now(UTC) - timedelta(seconds=ABANDONED_S)
        for upload in self._bucket.begun():
            if upload.begun < limit and all(time < limit for time in self._bucket.part_times(upload)):
                self._bucket.abort(upload.name, upload.upload)

    def check(self) -> None:
        """See that the bucket can be used.

        Raises:
            UnsuitableStore: it replaces objects that must never be replaced.
            Unavailable: it does not answer, or refuses.
        """
        next(self._bucket.listed(PROBE), None)
        name = f"{PROBE}-{uuid4().hex}"
        try:
            self._bucket.create(name, b"first")
            with closing(Parts(self._bucket, name)) as parts:
                parts.send(bytearray(b"second"))
                if self._bucket.create(name, b"second") or parts.complete():
                    raise UnsuitableStore(
                        "This S3 store ignores If-None-Match, so that it would replace objects that were stored: "
                        "expected one that takes it in PutObject and in CompleteMultipartUpload"
                    )
        finally:
            self._bucket.delete(name)

    def _chunks(self, body: Any, key: str, start: int, stop: int | None, chunk_bytes: int) -> Iterator[bytes]:
        left = RESUMES
        while body is not None:
            try:
                with closing(body):
                    for chunk in body.iter_chunks(chunk_bytes):
                        yield chunk
                        start += len(chunk)
                return
            except STREAM_FAULTS as error:
                if not left:
                    raise Unavailable("The S3 store breaks off its answers.", retry_after_s=1) from error
            left -= 1
            body = self._bucket.get(key, start, stop)
