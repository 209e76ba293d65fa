"""What to run together. Pure: it knows no Redis, no clock and no device."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

Job = TypeVar("Job")
Outcome = TypeVar("Outcome")


def halves(jobs: Sequence[Job]) -> tuple[Sequence[Job], Sequence[Job]]:
    """The first half, the longer one when they differ, and the rest."""
    middle = (len(jobs) + 1) // 2
    return jobs[:middle], jobs[middle:]


def bisect(
    jobs: Sequence[Job],
    run: Callable[[Sequence[Job]], list[Outcome]],
    fail: Callable[[Job, Exception], Outcome],
) -> list[Outcome]:
    """Run jobs together and, where that fails, in halves, so that a bad job fails alone.

    One bad job among B costs at most 2 log2(B) more runs.

    Args:
        jobs: At least one.
        run: Gives one outcome for each job or raises, and then has left nothing behind.
        fail: The outcome of a job that raised when it ran alone.
    """
    try:
        return run(jobs)
    except Exception as error:  # noqa: BLE001 - whatever an operation raises is the job's outcome, never the worker's end
        if len(jobs) == 1:
            return [fail(jobs[0], error)]
    # Outside the except block: the traceback would keep the failed run's arrays alive while the halves need the memory.
    first, second = halves(jobs)
    return bisect(first, run, fail) + bisect(second, run, fail)
