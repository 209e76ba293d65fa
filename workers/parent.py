"""The parent of the process that works: a job that kills its process kills neither the worker nor its other jobs.

It imports everything and starts no thread and no CUDA, so that what it forks is ready at once.
"""

from __future__ import annotations

import mmap
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn

from workers.drain import SIGNAL, Drain
from workers.lifeline import end_with

FIRST_DELAY_S = 0.1
MAX_DELAY_S = 5.0
"""A process that is killed before it has a job is started this seldom at last."""

STEADY_S = 10.0
"""One that lived so long is started after the first delay again."""

ENDING = (signal.SIGTERM, signal.SIGINT)
BLOCKED = (*ENDING, SIGNAL)


class Parent:
    """Forks a process that works, and another one when that was killed.

    Args:
        drain: Begun by SIGTERM or SIGINT to this process, from now on, here and in the process that works.
        work: What that process does until it is drained.
        died: Told the exit code with which it died, negative for a signal; whether one of its jobs may be to blame.
    """

    def __init__(self, drain: Drain, work: Callable[[], None], died: Callable[[int], bool]) -> None:
        self._drain = drain
        self._work = work
        self._died = died
        self._child: int | None = None
        self._ended = mmap.mmap(-1, 1)
        """Shared with the child, which says there that it ends by itself, and that no foreign code has ended it."""
        self._delay_s = FIRST_DELAY_S
        for number in ENDING:
            signal.signal(number, self._pass_on)

    def run(self) -> int:
        """Until the process is drained, or ended by itself: its exit code."""
        while not self._drain.begun:
            started_s = time.monotonic()
            self._fork()
            code = self._wait()
            if self._ended[0]:
                return code
            if not self._died(code):
                self._pause(time.monotonic() - started_s)
        return 0

    def _fork(self) -> None:
        with _blocked():
            parent = os.getpid()
            self._child = os.fork() or self._become_child(parent)

    def _wait(self) -> int:
        """The exit code of the child; the negative signal where one killed it."""
        assert self._child is not None
        # Its id stays its own until nobody can send it a signal any more.
        os.waitid(os.P_PID, self._child, os.WEXITED | os.WNOWAIT)
        child, self._child = self._child, None
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])

    def _become_child(self, parent: int) -> NoReturn:
        code = 1
        try:
            end_with(parent)
            for number in ENDING:
                signal.signal(number, signal.SIG_IGN)
            self._drain.on_signal()
            signal.pthread_sigmask(signal.SIG_UNBLOCK, BLOCKED)
            self._work()
            code = 0
        except BaseException:  # noqa: BLE001 - it is shown as the interpreter would, and the process ends
            sys.excepthook(*sys.exc_info())
        finally:
            for stream in (sys.stdout, sys.stderr):
                stream.flush()
            self._ended[0] = 1
            # Not sys.exit: what is further up the stack is the parent's.
            os._exit(code)

    def _pass_on(self, number: int, frame: FrameType | None) -> None:
        self._drain.begin()
        if self._child is not None:
            os.kill(self._child, SIGNAL)

    def _pause(self, lived_s: float) -> None:
        if lived_s >= STEADY_S:
            self._delay_s = FIRST_DELAY_S
        until = time.monotonic() + self._delay_s
        self._delay_s = min(2 * self._delay_s, MAX_DELAY_S)
        while not self._drain.begun and time.monotonic() < until:
            time.sleep(0.05)


@contextmanager
def _blocked() -> Iterator[None]:
    """What is asked of the parent inside the block is heard after it; a child that was forked inside begins so."""
    signal.pthread_sigmask(signal.SIG_BLOCK, BLOCKED)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, BLOCKED)
