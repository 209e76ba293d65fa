"""What the store needs of the place that keeps its bytes: a folder or an S3-compatible service."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from io import FileIO
from typing import NamedTuple, Protocol

from typing_extensions import Buffer

_KEY = re.compile(r"[a-zA-Z0-9][\w.-]*(/[a-zA-Z0-9][\w.-]*)*", re.ASCII)


class UnsuitableStore(RuntimeError):
    """The place would not keep what is put into it, or lacks what the store needs."""


class Entry(NamedTuple):
    """One object in a listing."""

    key: str
    size: int
    """In bytes."""
    modified_s: float
    """When it was written, in seconds since 1970."""


class ObjectWriter(Protocol):
    """An object being written, which nobody sees before it is committed."""

    @property
    def size(self) -> int:
        """How many bytes it has so far, those of a failed write included."""

    def write(self, data: Buffer) -> None:
        """Append the bytes of any C-contiguous buffer.

        Raises:
            Unavailable: they cannot be stored.
        """

    def write_all(self, parts: Sequence[Buffer]) -> None:
        """Append buffers one after another; quicker than each by itself.

        Raises:
            Unavailable: they cannot be stored.
        """

    def commit(self) -> bool:
        """Make the object durable and visible, all of it at once.

        Returns:
            False when the key was taken already; its object stays as it was.

        Raises:
            Unavailable: it cannot be stored.
        """


class Objects(Protocol):
    """Immutable objects under keys such as results/ab/cd: put once, never changed."""

    def writer(self, key: str, *, expected_bytes: int = 0) -> AbstractContextManager[ObjectWriter]:
        """Write an object; left without a commit, everything is undone.

        Args:
            key: Where it will be.
            expected_bytes: Refused at once when there is less room than this.

        Raises:
            Unavailable: there is no room, or the place cannot be reached.
        """

    def read(self, key: str, start: int = 0, stop: int | None = None, chunk_bytes: int = 1 << 20) -> Iterator[bytes]:
        """Bytes start to stop, in chunks; the object is opened before the first chunk is asked for.

        Raises:
            KeyError: there is no such object.
        """

    def size(self, key: str) -> int | None:
        """In bytes; None when there is no such object."""

    def local_file(self, key: str) -> FileIO:
        """A file with the object's bytes, opened to be mapped; it outlives the object's deletion.

        Raises:
            KeyError: there is no such object.
            Unavailable: it cannot be read.
        """

    def keys(self, prefix: str) -> Iterator[Entry]:
        """Every object whose key begins so, in no order."""

    def delete(self, key: str) -> bool:
        """Delete it; False when there was none. Whoever reads it now reads on."""

    def scratch(self) -> AbstractContextManager[FileIO]:
        """A nameless local file for work in progress, gone when it is closed.

        Raises:
            Unavailable: there is no place for it.
        """

    def probe(self) -> None:
        """Write a little and undo it, or write it where nobody looks.

        Raises:
            Unavailable: objects cannot be stored now.
        """

    def clear_abandoned(self) -> None:
        """Forget what processes that died had begun to write.

        Raises:
            Unavailable: the place cannot be reached.
        """


def check_key(key: str) -> str:
    """The key itself, when it can be one.

    Raises:
        ValueError: empty, absolute, or with a part that is empty or begins with a dot.
    """
    if not _KEY.fullmatch(key):
        raise ValueError(f"expected a key of parts [a-zA-Z0-9][a-zA-Z0-9_.-]* joined by /, got {key[:80]!r}")
    return key
