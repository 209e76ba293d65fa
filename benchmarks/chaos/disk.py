"""A disk that is full: a tiny tmpfs with a ballast."""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

SIZE_MB = 16
PIECE = bytes(2**12)


class Disk:
    """A mounted file system.

    Args:
        folder: Where.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._ballast = folder / "ballast"

    def fill(self, left_bytes: int = 0) -> None:
        """Take all space but so much."""
        with self._ballast.open("ab", buffering=0) as file:
            while (status := os.statvfs(self.folder)).f_bavail * status.f_frsize > left_bytes:
                try:
                    file.write(PIECE)
                except OSError:
                    return

    def free(self) -> None:
        """Give the space back."""
        self._ballast.unlink()


@contextmanager
def tiny_disk() -> Iterator[Disk | None]:
    """A disk of 16 MB; None where this user may mount nothing."""
    with TemporaryDirectory(prefix="mercer-disk-", dir="/tmp") as folder:
        mount = ["mount", "-t", "tmpfs", "-o", f"size={SIZE_MB}m", "tmpfs", folder]
        if subprocess.run(mount, check=False, capture_output=True).returncode:
            yield None
            return
        try:
            yield Disk(Path(folder))
        finally:
            subprocess.run(["umount", "--lazy", folder], check=True)
