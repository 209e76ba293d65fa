"""Jobs that kill the process which computes them: planted into the workers of this benchmark, and into nothing else."""

import os
import random
import resource
import signal
from collections.abc import Sequence
from typing import Any

from benchmarks.chaos.jobs import POISON_FROM, lengthscales
from gpu.device import Device
from gpu.ops import gram
from gpu.task import Answer, Task

KILLERS = (signal.SIGSEGV, signal.SIGKILL, signal.SIGABRT, signal.SIGBUS)
"""As a fault in foreign code, the system out of memory, a failed assertion and a file cut short would."""

_run = gram.run


def plant() -> None:
    """Have this process killed by each job whose lengthscale says so."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    gram.run = run  # type: ignore[assignment]


def run(tasks: Sequence[Task], device: Device) -> list[Answer]:
    """As the operation, where no task is poison."""
    for task in tasks:
        lengthscale = getattr(task.spec.kernel, "lengthscale", 0.0)
        if lengthscale >= lengthscales(POISON_FROM)[0]:
            os.kill(os.getpid(), random.choice(KILLERS))
    return _run(tasks, device)


def mixed(numbers: range, every: int) -> list[int]:
    """Numbers of jobs, with poison after so many of them."""
    poison = [POISON_FROM + number for number in numbers[every - 1 :: every]]
    return [one for n, number in enumerate(numbers) for one in (number, *poison[n // every : (n + 1) // every])]


def quarantined(record: dict[str, Any]) -> bool:
    """Whether a job was given up for what it did, and not for what befell its workers."""
    return record["state"] == "dead" and "The process that computed it died 3 times" in record["error"]["detail"]
