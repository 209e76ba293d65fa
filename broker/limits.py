"""When the queue takes no more jobs: its bounds, and the errors that say when to come again."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from mercer.errors import MemoryFull, QueueFull, TenantQueueFull

MAX_RETRY_AFTER_S = 60

MEMORY_RETRY_AFTER_S = 5
"""Records of ended jobs live for a day: memory comes back slowly."""


class Memory(NamedTuple):
    """The server's memory, in bytes."""

    used: int
    limit: int
    """maxmemory; 0 is none."""


@dataclass(slots=True)
class Limits:
    """The bounds of a queue."""

    max_queued: int
    """How many jobs may wait."""
    max_tenant_queued: int
    """How many of one tenant may."""
    memory_share: float
    """Of maxmemory: beyond it no job is admitted, and the rest is left to those that finish."""
    memory: Memory | None = None
    """As seen last."""

    def note_memory(self, info: Mapping[str, Any]) -> None:
        """What INFO says of the memory."""
        self.memory = Memory(int(info["used_memory"]), int(info["maxmemory"]))

    def check_memory(self) -> None:
        """Refuse a job while the memory is short.

        Raises:
            MemoryFull: it is.
        """
        if self.memory is None or not self.memory.limit or self.memory.used <= self.memory_share * self.memory.limit:
            return
        raise MemoryFull(
            f"the queue's memory is full to {self.memory.used / self.memory.limit:.0%}, and jobs are taken up to "
            f"{self.memory_share:.0%}: those that are there go on",
            retry_after_s=MEMORY_RETRY_AFTER_S,
        )

    def refusal(self, verdict: bytes, queued: int, per_second: float) -> QueueFull:
        """The error for what a script said: `full`, or `tenant-full`."""
        wait_s = queued / per_second if per_second else MAX_RETRY_AFTER_S
        retry_after_s = min(max(1, math.ceil(wait_s)), MAX_RETRY_AFTER_S)
        if verdict == b"full":
            detail = f"{queued} jobs wait already, and at most {self.max_queued} may"
            return QueueFull(detail, retry_after_s=retry_after_s)
        detail = f"{queued} jobs of this tenant wait already, and at most {self.max_tenant_queued} may"
        return TenantQueueFull(detail, retry_after_s=retry_after_s)
