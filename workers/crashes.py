"""A process was killed in the middle of a batch: its parent tells the queue, and what is known of the cause."""

from __future__ import annotations

import logging
import signal
from collections import Counter
from collections.abc import Callable
from contextlib import closing

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
        self.signals: Counter[str] = Counter()
        """Processes killed, by the signal's name."""
        self.quarantined = 0
        """Jobs given up for it."""

    def report(self, killer: signal.Signals) -> bool:
        """A process was killed by a signal; whether it had jobs, which are suspects now."""
        self.signals[killer.name] += 1
        lease = self._held.take()
        crash = patiently(lambda: self._told(lease, cause(killer)), until=self._drained) if lease else None
        if crash is None or not (crash.suspects or crash.dead):
            log.error("the worker's process was killed by %s while it had no job", cause(killer))
            return False
        self.quarantined += len(crash.dead)
        log.error("the worker's process was killed by %s: %d jobs will run alone", cause(killer), crash.suspects)
        for job_id in crash.dead:
            log.error("job %s is given up: its process was killed each time", job_id)
        return True

    def _told(self, lease: str, why: str) -> Crash:
        with closing(self._connect()) as broker:
            return broker.crash(lease, why)


def cause(killer: signal.Signals) -> str:
    """A signal in the words of a job's record."""
    hint = HINTS.get(killer)
    return f"signal {killer.value} ({killer.name}; {hint})" if hint else f"signal {killer.value} ({killer.name})"
