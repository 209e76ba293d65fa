"""Processes that die are started again."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Sequence
from typing import Protocol

CHECK_INTERVAL_S = 0.05
"""How soon a death is noticed."""

FIRST_DELAY_S = 0.1
MAX_DELAY_S = 5.0
"""A process that dies at once each time is started this seldom at last."""

STEADY_S = 10.0
"""One that lived so long is started after the first delay again."""

log = logging.getLogger(__name__)


class Restartable(Protocol):
    """What a supervisor needs of a process."""

    @property
    def name(self) -> str:
        """In messages."""

    @property
    def running(self) -> bool:
        """Whether it is alive."""

    def start(self) -> None:
        """Start it anew."""


class Ward:
    """One process under supervision: when it may be started again.

    Args:
        process: Started already.
        now_s: The time.
    """

    def __init__(self, process: Restartable, now_s: float) -> None:
        self.process = process
        self.restart_at_s: float | None = None
        self._delay_s = FIRST_DELAY_S
        self._started_at_s = now_s

    def look_after(self, now_s: float) -> None:
        """Start it again when it is dead and its delay has passed."""
        if self.process.running:
            return
        if self.restart_at_s is None:
            if now_s - self._started_at_s >= STEADY_S:
                self._delay_s = FIRST_DELAY_S
            self.restart_at_s = now_s + self._delay_s
            self._delay_s = min(2 * self._delay_s, MAX_DELAY_S)
            log.warning("%s has died and is started again", self.process.name)
        if now_s >= self.restart_at_s:
            self._started_at_s, self.restart_at_s = now_s, None
            self.process.start()


class Supervisor:
    """A thread that starts again what has died."""

    def __init__(self, processes: Sequence[Restartable]) -> None:
        self._wards = [Ward(process, time.monotonic()) for process in processes]
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._supervise, name="supervisor", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """Leave the processes as they are from now on."""
        self._stopped.set()
        self._thread.join()

    def _supervise(self) -> None:
        while not self._stopped.wait(CHECK_INTERVAL_S):
            for ward in self._wards:
                try:
                    ward.look_after(time.monotonic())
                except Exception as error:  # noqa: BLE001 - the others are still looked after, and this one is tried again
                    log.error("%s could not be started: %s", ward.process.name, error)
