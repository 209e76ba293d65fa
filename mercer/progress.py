"""A plain progress bar on a terminal; nothing at all where the output is a file or a pipe."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TextIO, TypeAlias

from mercer.downloads import Watch

WIDTH = 30
FIRST_SHOWN_S = 0.5
"""A job that is done by then shows no bar."""
SHOWN_EVERY_S = 0.1

Progress: TypeAlias = bool | Callable[[str, float], None] | None
"""None shows a bar on a terminal, True always, False never; a function is told the phase and the fraction."""


class Bar:
    """One line that is written over."""

    def __init__(self, label: str, stream: TextIO, now: Callable[[], float] = time.monotonic) -> None:
        self._label = label
        self._stream = stream
        self._now = now
        self._began_s = now()
        self._next_s = self._began_s + FIRST_SHOWN_S
        self._drawn = False

    def show(self, phase: str, fraction: float) -> None:
        """Draw it, unless it was drawn just now."""
        if (now_s := self._now()) < self._next_s:
            return
        self._next_s = now_s + SHOWN_EVERY_S
        self._drawn = True
        self._stream.write("\r\x1b[2K" + line(self._label, phase, fraction, now_s - self._began_s))
        self._stream.flush()

    def clear(self) -> None:
        """Leave the terminal as it was."""
        if self._drawn:
            self._stream.write("\r\x1b[2K")
            self._stream.flush()


def line(label: str, phase: str, fraction: float, elapsed_s: float) -> str:
    """For example `job_3f  [######--------]  43 %  running  2.1 s`."""
    done = round(WIDTH * min(max(fraction, 0.0), 1.0))
    return f"{label}  [{'#' * done}{'-' * (WIDTH - done)}] {fraction:4.0%}  {phase}  {elapsed_s:.1f} s"


@contextmanager
def watching(progress: Progress, label: str, stream: TextIO | None = None) -> Iterator[Watch | None]:
    """What to tell the progress to, if anybody looks."""
    out = stream or sys.stderr
    if callable(progress):
        yield progress
    elif progress is False or (progress is None and not out.isatty()):
        yield None
    else:
        bar = Bar(label, out)
        try:
            yield bar.show
        finally:
            bar.clear()
