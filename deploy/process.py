"""One of our own processes as a child of the launcher."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

from deploy.watchdog import Watchdog

ROOT = Path(__file__).resolve().parent.parent
"""The repository: the server's packages are found from here, wherever the launcher was started."""


class ChildProcess:
    """`python -m <module>`, which ends when the launcher ends.

    Args:
        name: In messages, and of its log.
        module: What it runs.
        environment: All of its environment.
        log: A file that gets what it prints; absent, it prints where the launcher does.
    """

    def __init__(self, name: str, module: str, environment: Mapping[str, str], *, log: Path | None = None) -> None:
        self.name = name
        self._module = module
        self._environment = dict(environment)
        self._log = log
        self._process: subprocess.Popen[bytes] | None = None
        self._watchdog: Watchdog | None = None

    @property
    def running(self) -> bool:
        """Whether it is alive."""
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int:
        """Of the process that runs now, or ran last.

        Raises:
            RuntimeError: it was never started.
        """
        if self._process is None:
            raise RuntimeError(f"{self.name} was not started")
        return self._process.pid

    def start(self) -> None:
        """Start it, anew when it died."""
        self._end_watchdog()
        output = None if self._log is None else self._log.open("ab")
        self._process = subprocess.Popen(
            [sys.executable, "-m", self._module],
            cwd=ROOT,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,  # Ctrl-C in the terminal is for the launcher, which then ends its children in order
        )
        if output is not None:
            output.close()
        # What it had not finished is in the queue and in the store: nothing is left to tidy up.
        self._watchdog = Watchdog(self._process.pid, "KILL")

    def terminate(self) -> None:
        """Ask it to drain."""
        if self._process is not None:
            self._process.terminate()

    def wait(self, timeout_s: float) -> None:
        """Wait until it has ended, and end it when the time is up."""
        if self._process is not None:
            try:
                self._process.wait(timeout_s)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
        self._end_watchdog()

    def _end_watchdog(self) -> None:
        if self._watchdog is not None:
            self._watchdog.end()
            self._watchdog = None
