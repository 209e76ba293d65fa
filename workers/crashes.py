"""A process was killed in the middle of a batch: its parent tells the queue, and what is known of the cause."""

from __future__ import annotations

import logging
import signal
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from typing import NamedTuple

from broker.records import Crash
from broker.worker_broker import WorkerBroker
from workers.leases import HeldLease
from workers.patience import patiently

HINTS = {signal.SIGKILL: "out of memory?", signal.SIGBUS: "a data set cut short, or a full disk?"}
"""What these most often mean; the signals for errors in foreign code speak for themselves."""

log = logging.getLogger(__name__)


class Crashes:
    """Reports crashes and counts them, for the metrics of the next process.

    Args:
        connect: Makes the queue; a connection is not kept, since it would be shared with the next process.
        held: The lease under which the process worked.
        drained: Whether the worker ends, and Redis is waited for no longer.
    """

    def __init__(self, connect: Callable[[], WorkerBroker], held: HeldLease, drained: Callable[[], bool]) -> None:
        self._connect = connect
        self._held = held
        self._drained = drained
        self.causes: Counter[str] = Counter()
        """Processes that died, by the signal's name or the exit code."""
        self.quarantined = 0
        """Jobs given up for it."""

    def report(self, code: int) -> bool:
        """A process died with this exit code, negative for a signal; whether it had jobs, which are suspects now."""
        name, cause = known(code)
        self.causes[name] += 1
        lease = self._held.take()
        crash = patiently(lambda: self._told(lease, cause), until=self._drained) if lease else None
        if crash is None or not (crash.suspects or crash.dead):
            log.error("the worker's process died by %s while it had no job", cause)
            return False
        self.quarantined += len(crash.dead)
        log.error("the worker's process died by %s: %d jobs will run alone", cause, crash.suspects)
        for job_id in crash.dead:
            log.error("job %s is given up: its process died each time", job_id)
        return True

    def _told(self, lease: str, why: str) -> Crash:
        with closing(self._connect()) as broker:
            return broker.crash(lease, why)


class Cause(NamedTuple):
    """Of a death."""

    name: str
    """Such as SIGSEGV or exit 1."""
    words: str
    """In a job's record."""


def known(code: int) -> Cause:
    """What an exit code tells; a negative one is a signal's."""
    if code >= 0:
        return Cause(f"exit {code}", f"exit({code}) of foreign code")
    killer = signal.Signals(-code)
    hint = HINTS.get(killer)
    return Cause(killer.name, f"signal {-code} ({killer.name}; {hint})" if hint else f"signal {-code} ({killer.name})")
