"""An object on its way into a bucket: in one request when it is small, otherwise in parts that nobody sees."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from functools import partial

from typing_extensions import Buffer

from mercer.errors import TooLarge, Unavailable
from store.bucket import Bucket

PART_BYTES = 8 * 2**20
"""Held in memory twice: one part is sent while the next is filled."""

MAX_PARTS = 10_000
"""S3 takes no more."""


class S3Writer:
    """An object that is being written to a bucket.

    Args:
        bucket: Where it goes.
        name: What it will be called.
        expected_bytes: How long it is expected to be; one longer than 78 GiB needs larger parts.
    """

    def __init__(self, bucket: Bucket, name: str, expected_bytes: int = 0) -> None:
        self._bucket = bucket
        self._name = name
        self._part_bytes = max(PART_BYTES, -(-expected_bytes // (MAX_PARTS - 1)))
        self._part = bytearray()
        self._parts: Parts | None = None
        self.size = 0
        """How many bytes were written, those of a failed write included."""

    def write(self, data: Buffer) -> None:
        """Append the bytes of any C-contiguous buffer.

        Raises:
            TooLarge: the object needs more parts than S3 takes.
            Unavailable: a part cannot be stored.
        """
        view = memoryview(data)
        rest = view.cast("B") if view.nbytes else memoryview(b"")
        self.size += len(rest)
        while rest:
            room = self._part_bytes - len(self._part)
            self._part += rest[:room]
            rest = rest[room:]
            if len(self._part) == self._part_bytes:
                self._send()

    def write_all(self, parts: Sequence[Buffer]) -> None:
        """Append the bytes of many C-contiguous buffers.

        Raises:
            TooLarge: the object needs more parts than S3 takes.
            Unavailable: a part cannot be stored.
        """
        for part in parts:
            self.write(part)

    def commit(self) -> bool:
        """Make the object visible; False when the key was taken already.

        Raises:
            Unavailable: it cannot be stored.
        """
        if self._parts is None:
            return self._bucket.create(self._name, self._part)
        if self._part:
            self._send()
        return self._parts.complete()

    def close(self) -> None:
        """Undo what was not committed."""
        self._part = bytearray()
        if self._parts is not None:
            self._parts.close()

    def _send(self) -> None:
        if self._parts is None:
            self._parts = Parts(self._bucket, self._name)
        self._parts.send(self._part)
        self._part = bytearray()


class Parts:
    """A multipart upload whose parts are sent one at a time by a thread.

    Raises:
        Unavailable: it cannot be begun.
    """

    def __init__(self, bucket: Bucket, name: str) -> None:
        self._bucket = bucket
        self._name = name
        self._upload = bucket.begin(name)
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="s3-part")
        self._sending: Future[str] | None = None
        self._tags: list[str] = []
        self._ended = False

    def send(self, data: bytearray) -> None:
        """Send the next part once the one before has arrived.

        Raises:
            TooLarge: there are too many.
            Unavailable: the one before could not be stored.
        """
        self._arrived()
        if (number := len(self._tags) + 1) > MAX_PARTS:
            raise TooLarge(f"the S3 store takes an object of at most {MAX_PARTS:,} parts of {len(data):,} bytes")
        self._sending = self._thread.submit(partial(self._bucket.put_part, self._name, self._upload, number, data))

    def complete(self) -> bool:
        """Make an object of them; False when its name is taken.

        Raises:
            Unavailable: the last part or the object could not be stored.
        """
        self._arrived()
        self._ended = self._bucket.complete(self._name, self._upload, self._tags)
        return self._ended

    def close(self) -> None:
        """Forget the parts, unless they became an object; what cannot be forgotten now is cleared later."""
        self._thread.shutdown()
        if not self._ended:
            with suppress(Unavailable):
                self._bucket.abort(self._name, self._upload)

    def _arrived(self) -> None:
        if self._sending is not None:
            self._tags.append(self._sending.result())
            self._sending = None
