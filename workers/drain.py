"""The way a worker ends: a signal stops new claims, and bounds how long the running batch may go on."""

from __future__ import annotations

import signal
import time
from types import FrameType

SIGNAL = signal.SIGUSR1
"""Of the parent to its child. SIGTERM and SIGINT are for the parent alone: Ctrl-C and systemd send theirs to both, and
twice means at once."""


class Drain:
    """Whether the worker is ending, and whether its running batch has had its time.

    Plain attributes, not a threading.Event: a signal handler may interrupt the very code that holds the event's lock.

    Args:
        grace_s: How long the running batch may go on.
    """

    def __init__(self, grace_s: float) -> None:
        self._grace_s = grace_s
        self._ends_at: float | None = None

    def on_signal(self) -> None:
        """Begin at SIGNAL; a second one ends the grace at once."""
        signal.signal(SIGNAL, self._begin)

    @property
    def begun(self) -> bool:
        """Whether nothing new may be claimed."""
        return self._ends_at is not None

    @property
    def over(self) -> bool:
        """Whether the running batch is to be given back."""
        return self._ends_at is not None and time.monotonic() >= self._ends_at

    def begin(self) -> None:
        """End the worker; said twice, at once."""
        self._ends_at = time.monotonic() + (0.0 if self.begun else self._grace_s)

    def _begin(self, number: int, frame: FrameType | None) -> None:
        self.begin()
