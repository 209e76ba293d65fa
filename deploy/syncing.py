"""The embedded server's data reach the disk once a second, by us and not by the server.

With `appendfsync everysec` the server holds its writes back, for up to two seconds, while its own sync runs: it answers
before the write, and dies with it when it is killed. With `appendfsync no` it writes before it answers, always, so that
nothing answered is lost however it is killed; what is left to do is to bring the file to the disk.
"""

from __future__ import annotations

import os
import threading
from pathlib import Path

EVERY_S = 1.0


class Syncing:
    """A thread that syncs the append-only files of a server until it is ended.

    Args:
        data_dir: The server's folder.
    """

    def __init__(self, data_dir: Path) -> None:
        self._folder = data_dir / "appendonlydir"
        self._sizes: dict[Path, int] = {}
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="valkey syncing", daemon=True)
        self._thread.start()

    def end(self) -> None:
        """Stop syncing; a server that stops in order has synced its files itself."""
        self._ended.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._ended.wait(EVERY_S):
            for path in self._folder.glob("*.aof"):
                try:
                    self._sync(path)
                except FileNotFoundError:  # the server has replaced it by a shorter one, which it syncs itself
                    self._sizes.pop(path, None)

    def _sync(self, path: Path) -> None:
        size = path.stat().st_size
        if size == self._sizes.get(path):
            return
        file = os.open(path, os.O_RDONLY)
        try:
            os.fsync(file)
        finally:
            os.close(file)
        self._sizes[path] = size
