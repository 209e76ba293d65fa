"""Where results go: into one array, or into a file, without a second copy; a lost connection is taken up again."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from mercer.arrays import header_length, parse_header
from mercer.errors import InvalidArray

NPY_SEQUENCE = "application/x-npy-sequence"
"""npy files one after another."""

Watch = Callable[[str, float], None]
"""Told what is going on and how far it is, from 0 to 1."""


class Body:
    """A response's body on its way to `take`, which is given each piece once and in order."""

    def __init__(self, take: Callable[[bytes], None], restart: Callable[[], None], watch: Watch | None) -> None:
        self._take = take
        self._restart = restart
        self._watch = watch
        self._etag = ""
        self._received = 0
        self._total = 0

    def headers(self) -> dict[str, str]:
        """Ask for the rest, if it is still the same."""
        if not (self._received and self._etag):
            return {"Accept-Encoding": "identity"}
        return {
            "Accept-Encoding": "identity",
            "Range": f"bytes={self._received}-",
            "If-Range": self._etag,
        }

    def begin(self, status: int, headers: Mapping[str, str]) -> None:
        """A 206 goes on; anything else begins anew."""
        if status != 206:
            self._received = 0
            self._restart()
        self._etag = headers.get("etag", "")
        self._total = self._received + int(headers.get("content-length", 0))

    def write(self, chunk: bytes) -> None:
        """Take the next piece."""
        self._take(chunk)
        self._received += len(chunk)
        if self._watch and self._total:
            self._watch("fetching", self._received / self._total)


class IntoArray:
    """An npy file on its way into an array."""

    def __init__(self, watch: Watch | None = None) -> None:
        self.body = Body(self._take, self._restart, watch)
        self._restart()

    def array(self) -> np.ndarray[Any, Any]:
        """The array, when all of it has come.

        Raises:
            InvalidArray: the body ended too early.
        """
        if self._array is None or self._filled != self._array.nbytes:
            raise InvalidArray("The result ended before its last number.")
        return self._array

    def _restart(self) -> None:
        self._head = b""
        self._array: np.ndarray[Any, Any] | None = None
        self._filled = 0

    def _take(self, chunk: bytes) -> None:
        if self._array is None:
            chunk = self._begin(chunk)
        if self._array is None or not chunk:
            return
        if len(chunk) > self._array.nbytes - self._filled:
            raise InvalidArray("The result goes on after its last number.")
        self._view[self._filled : self._filled + len(chunk)] = chunk
        self._filled += len(chunk)

    def _begin(self, chunk: bytes) -> bytes:
        """Allocate when the header is complete; what comes after it."""
        self._head += chunk
        if len(self._head) < 12 or len(self._head) < (length := header_length(self._head[:12])):
            return b""
        header = parse_header(self._head[:length])
        self._array = np.empty(header.shape, header.dtype)
        self._view = self._array.data.cast("B")
        return self._head[length:]


class IntoArrays:
    """npy files one after another on their way into arrays; each owns its memory."""

    def __init__(self) -> None:
        self.body = Body(self._take, self._restart, None)
        self._restart()

    def arrays(self) -> list[np.ndarray[Any, Any]]:
        """The arrays, when all of them have come.

        Raises:
            InvalidArray: the body ended too early.
        """
        if self._missing or self._head:
            raise InvalidArray("The results ended before their last number.")
        return self._arrays

    def _restart(self) -> None:
        self._arrays: list[np.ndarray[Any, Any]] = []
        self._head = b""
        self._missing = 0

    def _take(self, chunk: bytes) -> None:
        rest = memoryview(self._head + chunk)
        self._head = b""
        while rest:
            if not self._missing:
                if len(rest) < 12 or len(rest) < (length := header_length(bytes(rest[:12]))):
                    self._head = bytes(rest)
                    return
                self._begin(bytes(rest[:length]))
                rest = rest[length:]
            part = rest[: self._missing]
            start = len(self._view) - self._missing
            self._view[start : start + len(part)] = part
            self._missing -= len(part)
            rest = rest[len(part) :]

    def _begin(self, head: bytes) -> None:
        header = parse_header(head)
        array = np.empty(header.shape, header.dtype)
        self._arrays.append(array)
        self._view = array.data.cast("B")
        self._missing = array.nbytes


class IntoFile:
    """A body on its way into a file, which has its name only when it is complete."""

    def __init__(self, path: Path, watch: Watch | None = None) -> None:
        self._path = path
        self._part = path.with_name(path.name + ".part")
        self._file = self._part.open("wb")
        self.body = Body(self._write, self._restart, watch)

    def keep(self) -> Path:
        """Give the file its name."""
        self._file.close()
        os.replace(self._part, self._path)
        return self._path

    def discard(self) -> None:
        """Remove what has come."""
        self._file.close()
        self._part.unlink(missing_ok=True)

    def _write(self, chunk: bytes) -> None:
        self._file.write(chunk)

    def _restart(self) -> None:
        self._file.seek(0)
        self._file.truncate()
