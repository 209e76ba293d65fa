"""How much of a batch's time was computing, and how much was moving data."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from time import perf_counter
from typing import TypeVar

Block = TypeVar("Block")


class Stopwatch:
    """Runs from when it is made."""

    def __init__(self) -> None:
        self._started_s = perf_counter()
        self._computing_s = 0.0

    @contextmanager
    def computing(self) -> Iterator[None]:
        """The time in the block was computing."""
        started_s = perf_counter()
        try:
            yield
        finally:
            self._computing_s += perf_counter() - started_s

    def timed(self, blocks: Iterable[Block]) -> Iterator[Block]:
        """The same blocks: a large answer is computed while it is stored, and each step to the next is computing."""
        steps = iter(blocks)
        end = object()
        while True:
            with self.computing():
                block = next(steps, end)
            if block is end:
                return
            yield block  # type: ignore[misc]

    def timings(self) -> dict[str, float]:
        """As mercer.jobs.Timings has them."""
        elapsed_s = perf_counter() - self._started_s
        return {
            "transfer_ms": round(1e3 * (elapsed_s - self._computing_s), 3),
            "compute_ms": round(1e3 * self._computing_s, 3),
        }
