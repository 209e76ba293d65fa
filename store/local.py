"""Objects in a local folder: written aside, fsynced, then linked into place, so that none is ever half there.

A crash at any moment leaves a committed object whole and an uncommitted one invisible in .partial, which the next
start clears. Several processes share one folder.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from io import FileIO
from pathlib import Path
from uuid import uuid4

from mercer.errors import Unavailable
from store.disk import Appender, clear_reasons
from store.objects import Entry, check_key

STALE_S = 3_600
"""A partial file so old whose lock is free belongs to a process that died."""


class LocalWriter(Appender):
    """An object being written to a local folder."""

    def __init__(self, path: Path, target: Path) -> None:
        super().__init__(FileIO(path, "xb"))
        # Held until the file is closed or the process dies: whoever clears up sees that someone still writes.
        fcntl.flock(self.file, fcntl.LOCK_EX)
        self._path = path
        self._target = target

    def commit(self) -> bool:
        """Make the object durable and visible; False when the key was taken already.

        Raises:
            Unavailable: the disk is full or cannot be written.
        """
        with clear_reasons():
            os.fsync(self.file.fileno())
            _make_folder(self._target.parent)
            try:
                os.link(self._path, self._target)
            except FileExistsError:
                return False
            _fsync_folder(self._target.parent)
        return True

    def close(self) -> None:
        """Remove what was written aside; a committed object stays."""
        self.file.close()
        self._path.unlink(missing_ok=True)


class LocalObjects:
    """Immutable objects, each a file of its key's name under `root`.

    Raises:
        Unavailable: the folder cannot be made.
    """

    def __init__(self, root: Path) -> None:
        self._root = root
        self._partial = root / ".partial"
        with clear_reasons():
            _make_folder(self._partial)
        self.clear_abandoned()

    @contextmanager
    def writer(self, key: str, *, expected_bytes: int = 0) -> Iterator[LocalWriter]:
        """Write an object; left without a commit, everything is undone.

        Raises:
            Unavailable: there is no room, or the folder cannot be written.
        """
        target = self.local_path(key)
        with clear_reasons():
            free = shutil.disk_usage(self._partial).free
            if expected_bytes > free:
                raise Unavailable(f"The store is full: expected room for {expected_bytes:,} bytes, got less.")
            writer = LocalWriter(self._partial / uuid4().hex, target)
        with closing(writer):
            yield writer

    def read(self, key: str, start: int = 0, stop: int | None = None, chunk_bytes: int = 1 << 20) -> Iterator[bytes]:
        """Bytes start to stop, in chunks; the object is opened before the first chunk is asked for.

        Raises:
            KeyError: there is no such object.
        """
        file = self.local_file(key)
        end = os.fstat(file.fileno()).st_size if stop is None else stop
        return _chunks(file, start, end, chunk_bytes)

    def size(self, key: str) -> int | None:
        """In bytes; None when there is no such object."""
        try:
            return self.local_path(key).stat().st_size
        except FileNotFoundError:
            return None

    def local_file(self, key: str) -> FileIO:
        """The object's file, opened to be mapped.

        Raises:
            KeyError: there is no such object.
        """
        try:
            return FileIO(self.local_path(key))
        except FileNotFoundError:
            raise KeyError(key) from None

    def local_path(self, key: str) -> Path:
        """The object's file, whether it exists or not."""
        return self._root / check_key(key)

    def keys(self, prefix: str) -> Iterator[Entry]:
        """Every object whose key begins so, in no order."""
        folder = self._root / prefix.rpartition("/")[0]
        for parent, folders, names in os.walk(folder):
            folders[:] = [name for name in folders if not name.startswith(".")]
            for path in (Path(parent, name) for name in names):
                key = path.relative_to(self._root).as_posix()
                # Another process may delete it between the listing and the look.
                with suppress(FileNotFoundError):
                    if key.startswith(prefix):
                        status = path.stat()
                        yield Entry(key, status.st_size, status.st_mtime)

    def delete(self, key: str) -> bool:
        """Delete it; False when there was none. Whoever reads it now reads on."""
        try:
            self.local_path(key).unlink()
        except FileNotFoundError:
            return False
        return True

    @contextmanager
    def scratch(self) -> Iterator[FileIO]:
        """A nameless file on the same disk, gone when it is closed or the process dies.

        Raises:
            Unavailable: the folder cannot be written.
        """
        with clear_reasons():
            descriptor, name = tempfile.mkstemp(dir=self._partial)
            file = FileIO(descriptor, "w+b")
            os.unlink(name)
        with file:
            yield file

    def probe(self) -> None:
        """Write a little and undo it.

        Raises:
            Unavailable: objects cannot be stored now.
        """
        with self.writer("probe") as writer:
            writer.write(b"probe")

    def clear_abandoned(self) -> None:
        """Delete what processes that died had begun to write.

        Raises:
            Unavailable: the folder cannot be read.
        """
        limit = time.time() - STALE_S
        with clear_reasons():
            for path in self._partial.iterdir():
                with suppress(FileNotFoundError, BlockingIOError), FileIO(path) as file:
                    if os.fstat(file.fileno()).st_mtime < limit:
                        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                        path.unlink()


def _chunks(file: FileIO, start: int, stop: int, chunk_bytes: int) -> Iterator[bytes]:
    with file:
        file.seek(start)
        while start < stop and (chunk := file.read(min(chunk_bytes, stop - start))):
            yield chunk
            start += len(chunk)


def _make_folder(folder: Path) -> None:
    """Make it and its parents, each durable in its parent before anything is put into it."""
    if not folder.is_dir():
        _make_folder(folder.parent)
        folder.mkdir(exist_ok=True)
        _fsync_folder(folder.parent)


def _fsync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
