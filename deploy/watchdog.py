"""Nothing outlives its launcher: a shell for each process that ends it when the launcher is gone, however it went."""

from __future__ import annotations

import subprocess
from typing import Literal


class Watchdog:
    """A shell that reads from a pipe which only this process holds: it wakes when this process is gone.

    The kernel's own parent-death signal is not used: Linux alone has it, and it fires when the thread that started the
    process ends, not the launcher.

    Args:
        pid: The process to end then.
        how: TERM for one that must tidy up, KILL for one that need not.
    """

    def __init__(self, pid: int, how: Literal["TERM", "KILL"] = "TERM") -> None:
        self._shell = subprocess.Popen(
            ["/bin/sh", "-c", 'read -r _; kill -"$2" "$1"', "watchdog", str(pid), how],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )

    def end(self) -> None:
        """Stop watching."""
        self._shell.kill()
        self._shell.communicate()
