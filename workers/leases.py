"""The lease that a process works under, where its parent can read it after the process was killed."""

from __future__ import annotations

import mmap
import uuid

LENGTH = len(uuid.uuid4().hex)


class HeldLease:
    """Memory that parent and child share; made by the parent before it forks."""

    def __init__(self) -> None:
        self._memory = mmap.mmap(-1, LENGTH)

    def fresh(self) -> str:
        """A lease to claim under; noted first, so that no moment is left in which jobs are held and nobody knows."""
        lease = uuid.uuid4().hex
        self._memory[:] = lease.encode()
        return lease

    def take(self) -> str | None:
        """The lease that was made last, once; None when there was none."""
        lease = self._memory[:].rstrip(b"\0").decode()
        self._memory[:] = bytes(LENGTH)
        return lease or None
