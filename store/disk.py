"""Writing to a local file so that a full disk is told as what it is."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from io import FileIO

from typing_extensions import Buffer

from mercer.errors import Unavailable

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


@contextmanager
def clear_reasons() -> Iterator[None]:
    """Tell the system's errors as what they mean to a user.

    Raises:
        Unavailable: instead of OSError.
    """
    try:
        yield
    except OSError as error:
        reason = "The store is full" if error.errno in _FULL else "The store cannot be written"
        raise Unavailable(f"{reason}: {os.strerror(error.errno or 0)}.") from error


_MOST_PARTS = os.sysconf("SC_IOV_MAX")


class Appender:
    """The end of an unbuffered file."""

    def __init__(self, file: FileIO) -> None:
        self.file = file
        self.size = 0
        """How many bytes were appended, those of a failed write included."""

    def write(self, data: Buffer) -> None:
        """Append the bytes of any C-contiguous buffer.

        Raises:
            Unavailable: the disk is full or cannot be written.
        """
        view = memoryview(data)
        rest = view.cast("B") if view.nbytes else memoryview(b"")
        with clear_reasons():
            while rest:
                written = self.file.write(rest)
                self.size += written
                rest = rest[written:]

    def write_all(self, parts: Sequence[Buffer]) -> None:
        """Append buffers one after another; the system takes many at once for a fraction of what each costs alone.

        Raises:
            Unavailable: the disk is full or cannot be written.
        """
        for start in range(0, len(parts), _MOST_PARTS):
            some = parts[start : start + _MOST_PARTS]
            with clear_reasons():
                written = os.writev(self.file.fileno(), some)
            self.size += written
            for part in some:  # what a short write left
                view = memoryview(part).cast("B")
                if written < len(view):
                    self.write(view[written:])
                written = max(0, written - len(view))
