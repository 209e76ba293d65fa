"""A power cut, simulated: every file falls back to what was fsynced of it.

A preloaded library notes each sync that a process makes (synced.c). After everything was killed, `cut` truncates each
file to the size at its last sync, and to nothing where it was never synced. Not simulated: lost directory entries,
torn or reordered writes, and in-place overwriting; a deleted file's inode that was used again keeps its old note.
"""

import os
import subprocess
import sys
from pathlib import Path

SOURCE = Path(__file__).with_name("synced.c")


def build(folder: Path) -> Path:
    """The library to preload."""
    library = folder / "synced.so"
    # The dependency of the tests that compile CUDA sources for a CPU: no compiler needs to be installed.
    compiler = [sys.executable, "-m", "ziglang", "cc"]
    subprocess.run([*compiler, "-shared", "-fPIC", "-O1", "-o", library, SOURCE, "-ldl"], check=True)
    return library


class Power:
    """The syncs of the processes that run with its environment.

    Args:
        library: As `build` made it.
        notes: What the library writes; outside of what is cut.
    """

    def __init__(self, library: Path, notes: Path) -> None:
        self._library = library
        self._notes = notes

    @property
    def environment(self) -> dict[str, str]:
        """For every process whose syncs count."""
        return {"LD_PRELOAD": str(self._library), "MERCER_CHAOS_SYNCED": str(self._notes)}

    def cut(self, folder: Path) -> int:
        """Drop what was not synced; how many bytes that were. Nothing may run on the folder."""
        synced = self._synced()
        dropped = 0
        for path in folder.rglob("*"):
            if path.is_symlink() or not path.is_file():
                continue
            status = path.stat()
            kept = min(synced.get((status.st_dev, status.st_ino), 0), status.st_size)
            dropped += status.st_size - kept
            os.truncate(path, kept)
        return dropped

    def _synced(self) -> dict[tuple[int, int], int]:
        sizes: dict[tuple[int, int], int] = {}
        for line in self._notes.read_text().splitlines() if self._notes.exists() else ():
            device, inode, size = map(int, line.split())
            sizes[device, inode] = size
        return sizes
