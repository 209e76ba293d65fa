"""Faults at random times, all from one seed."""

import random
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable

from benchmarks.chaos.machine import Machine

KILL_EVERY_S = 0.5


class Storm:
    """Breaks a machine until told to stop.

    Args:
        machine: The victim.
        seed: Of everything random.
    """

    def __init__(self, machine: Machine, seed: int) -> None:
        self.counts: Counter[str] = Counter()
        self._machine = machine
        self._random = random.Random(seed)
        self._choose_worker = random.Random(seed + 1)
        self._sleeping: list[tuple[float, Callable[[], None]]] = []

    def run(self, until: Callable[[], bool]) -> None:
        """A worker is killed every half second, and each other fault comes in its own turn."""
        faults = (
            (3.0, self.stop_a_worker),
            (2.3, self.trouble_the_queue_link),
            (3.1, self.trouble_the_http_link),
            (9.0, self.kill_the_service),
            (11.0, self.kill_the_queue),
            (23.0, self.cut_the_power),
        )
        due = [(time.monotonic() + every_s, every_s, fault) for every_s, fault in faults]
        over = threading.Event()
        killing = threading.Thread(target=self._kill_workers, args=(over,), daemon=True)
        killing.start()
        while not until():
            now = time.monotonic()
            due = [self._turn(one, now) for one in due]
            self._wake(now)
            time.sleep(0.02)
        over.set()
        killing.join()
        self._wake(float("inf"))

    def kill_a_worker(self) -> None:
        """With SIGKILL, wherever it is."""
        names = [name for name in self._machine.workers if name not in self._machine.exempt]
        if names:
            self._machine.signal(self._choose_worker.choice(names), signal.SIGKILL)
            self.counts["worker kill -9"] += 1

    def stop_a_worker(self) -> None:
        """Past its lease; what it finishes when it wakes belongs to others by then."""
        machine = self._machine
        name = machine.busy() or self._random.choice(machine.workers)
        if name in machine.exempt:
            return
        machine.exempt.add(name)
        machine.signal(name, signal.SIGSTOP)

        def wake() -> None:
            machine.signal(name, signal.SIGCONT)
            self._later(1.0, lambda: machine.exempt.discard(name))

        self._later(machine.lease_s * self._random.uniform(0.8, 2.0), wake)
        self.counts["worker SIGSTOP"] += 1

    def trouble_the_queue_link(self) -> None:
        """Between the processes and the queue."""
        link = self._machine.queue_link
        match self._random.choice(("cut", "black hole", "lost reply", "lost reply")):
            case "cut":
                link.cut()
                self.counts["queue link cut"] += 1
            case "black hole":
                link.silence()
                self._later(self._random.uniform(0.5, 2.5), link.heal)
                self.counts["queue link black hole"] += 1
            case "lost reply":
                link.lose_reply()
                self.counts["queue reply lost"] += 1

    def trouble_the_http_link(self) -> None:
        """Between the client and the service."""
        if self._random.random() < 0.3:
            self._machine.http_link.cut()
            self.counts["HTTP link cut"] += 1
        else:
            self._machine.http_link.lose_reply()
            self.counts["HTTP reply lost"] += 1

    def kill_the_service(self) -> None:
        """With SIGKILL."""
        self._machine.signal("service", signal.SIGKILL)
        self.counts["API kill -9"] += 1

    def kill_the_queue(self) -> None:
        """With SIGKILL, and start it on its data."""
        self._machine.restart_queue()
        self.counts["Valkey kill -9"] += 1

    def cut_the_power(self) -> None:
        """Of the whole machine."""
        self._machine.exempt.clear()
        self._sleeping.clear()
        self._machine.queue_link.heal()
        self._machine.cut_power()
        self.counts["power cut"] += 1

    def _kill_workers(self, over: threading.Event) -> None:
        # From a thread of its own: other faults take their time.
        while not over.wait(KILL_EVERY_S):
            self.kill_a_worker()

    def _turn(
        self, one: tuple[float, float, Callable[[], None]], now: float
    ) -> tuple[float, float, Callable[[], None]]:
        due_s, every_s, fault = one
        if now < due_s:
            return one
        fault()
        return now + every_s * self._random.uniform(0.6, 1.4), every_s, fault

    def _later(self, after_s: float, action: Callable[[], None]) -> None:
        self._sleeping.append((time.monotonic() + after_s, action))

    def _wake(self, now: float) -> None:
        due = [action for at, action in self._sleeping if at <= now]
        self._sleeping = [one for one in self._sleeping if one[0] > now]
        for action in due:
            action()
