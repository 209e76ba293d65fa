"""Many uploads at once, from a process of its own so that whoever measures beside it is not held up."""

import multiprocessing
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.synchronize import Event
from typing import Self

import numpy as np

from benchmarks.edge.bombs import NPY, put
from benchmarks.edge.wire import exchange
from mercer.arrays import to_npy

SHAPE = (8_192, 8)
"""0.5 MB of float64."""


class Burst:
    """Uploads that are made and wait; `with` starts the process, `send` lets them go and returns when all are done.

    Args:
        port: Where the service listens.
        count: How many at once.
        seed: Of their numbers: the service must not know them.
    """

    def __init__(self, port: int, count: int, seed: int) -> None:
        context = multiprocessing.get_context("spawn")
        self._ready, self._go = context.Event(), context.Event()
        self._process = context.Process(target=_send, args=(port, count, seed, self._ready, self._go))

    def __enter__(self) -> Self:
        self._process.start()
        assert self._ready.wait(60)
        return self

    def send(self) -> None:
        """All of them at once."""
        self._go.set()
        self._process.join(120)
        assert self._process.exitcode == 0

    def __exit__(self, *_: object) -> None:
        self._process.kill()


def _send(port: int, count: int, seed: int, ready: Event, go: Event) -> None:
    numbers = np.random.default_rng(seed)
    requests = [put(to_npy(numbers.normal(size=SHAPE)), NPY) for _ in range(count)]
    with ThreadPoolExecutor(count) as threads:
        ready.set()
        assert go.wait(60)
        answers = list(threads.map(lambda sent: exchange(port, sent, 60), requests))
    assert {answer.status for answer in answers} == {201}, {answer.status for answer in answers}
