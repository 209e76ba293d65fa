"""Copies of remote objects on this machine's disk, so that they can be mapped; shared by all processes of the machine.

The copies that were opened longest ago give way when the limit is reached. A copy in use stays readable without its
name, so files that are mapped may hold more of the disk than the limit.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from io import FileIO
from pathlib import Path

from mercer.errors import Unavailable
from store.local import LocalObjects


class Cache:
    """A folder of copies.

    Args:
        folder: For this cache alone; several processes may share it.
        max_bytes: The most that all copies may have together; a larger object gets a copy for one use.

    Raises:
        Unavailable: the folder cannot be made.
    """

    def __init__(self, folder: Path, max_bytes: int) -> None:
        self._files = LocalObjects(folder)
        self._max_bytes = max_bytes
        self._locks = folder / ".locks"
        self._locks.mkdir(exist_ok=True)

    def get(self, key: str) -> FileIO | None:
        """The copy; None when there is none."""
        try:
            file = self._files.local_file(key)
        except KeyError:
            return None
        os.utime(file.fileno())  # what was opened last goes last
        return file

    def fill(self, key: str, size: int, read: Callable[[], Iterator[bytes]]) -> FileIO:
        """The copy, made unless somebody else makes it meanwhile.

        Args:
            key: Of the object.
            size: Of the object, in bytes.
            read: Its bytes; asked for only when they are needed.

        Raises:
            Unavailable: there is no room, or not all bytes came.
        """
        with self._locked(hashlib.sha256(key.encode()).hexdigest()[:2]):  # two downloads of one object help nobody
            return self.get(key) or self._fill(key, size, read)

    def forget(self, key: str) -> None:
        """Delete the copy, if there is one."""
        self._files.delete(key)

    def scratch(self) -> AbstractContextManager[FileIO]:
        """A nameless file beside the copies.

        Raises:
            Unavailable: the folder cannot be written.
        """
        return self._files.scratch()

    def clear_abandoned(self) -> None:
        """Delete copies that were half made when their makers died."""
        self._files.clear_abandoned()

    def _fill(self, key: str, size: int, read: Callable[[], Iterator[bytes]]) -> FileIO:
        with self._room():
            self._evict(size)
        with self._files.writer(key, expected_bytes=size) as writer:
            for chunk in read():
                writer.write(chunk)
            if writer.size != size:
                raise Unavailable(f"The store gave {writer.size:,} of {size:,} bytes of an object.", retry_after_s=1)
            with self._room():  # others may have taken it meanwhile
                self._evict(size)
                writer.commit()
                file = self._files.local_file(key)
                if size > self._max_bytes:
                    self.forget(key)
        return file

    def _evict(self, needed: int) -> None:
        copies = sorted(self._files.keys(""), key=lambda entry: entry.modified_s)
        excess = sum(entry.size for entry in copies) + needed - self._max_bytes
        for entry in copies:
            if excess <= 0:
                break
            self.forget(entry.key)
            excess -= entry.size

    def _room(self) -> AbstractContextManager[None]:
        return self._locked("room")

    @contextmanager
    def _locked(self, name: str) -> Iterator[None]:
        with FileIO(self._locks / name, "ab") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield
