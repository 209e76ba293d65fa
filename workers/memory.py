"""How much memory the process that works may take: an allocation beyond it fails, and one job with it."""

from __future__ import annotations

import os
import resource
import sys
from pathlib import Path

SHARE = 0.9
"""Of the machine or the container: the rest is for the parent and for files that are being written."""

STATUS = Path("/proc/self/status")
OWN_CGROUP = Path("/proc/self/cgroup")
CGROUPS = Path("/sys/fs/cgroup")


def limit(most_bytes: int | None) -> int | None:
    """Hold this process to so much memory, or to its share of what there is; the bytes, or None where that cannot be.

    Only Linux counts what a process reserves with mmap. What it has reserved and not used until now is its libraries',
    CUDA's above all, and is left out of the account. Files that are mapped count nowhere.

    Raises:
        ValueError: This process has more already.
    """
    if sys.platform != "linux":
        return None
    most_bytes = most_bytes or int(SHARE * available_bytes())
    status = dict(line.split(":", 1) for line in STATUS.read_text().splitlines())
    used_bytes = _bytes(status["RssAnon"])
    if most_bytes < used_bytes:
        needed = f"expected more than the {used_bytes:,} that a worker takes without a job, got {most_bytes:,}"
        raise ValueError(f"MERCER_WORKER_MEMORY_BYTES: {needed}")
    unused_bytes = max(0, _bytes(status["VmData"]) - used_bytes)
    resource.setrlimit(resource.RLIMIT_DATA, (most_bytes + unused_bytes, resource.RLIM_INFINITY))
    return most_bytes


def available_bytes() -> int:
    """The memory of the machine, or less where a cgroup above this process has less."""
    machine_bytes = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return min([machine_bytes, *cgroup_limits(OWN_CGROUP, CGROUPS)])


def cgroup_limits(own: Path, root: Path) -> list[int]:
    """The memory limits of a process' cgroup (version 2) and of those above it.

    Args:
        own: What /proc/self/cgroup is.
        root: Where the cgroups are mounted.
    """
    lines = own.read_text().splitlines() if own.exists() else []
    steps = [step for line in lines if line.startswith("0::") for step in line[3:].split("/") if step]
    files = [root.joinpath(*steps[:depth], "memory.max") for depth in range(len(steps) + 1)]
    texts = [file.read_text().strip() for file in files if file.exists()]
    return [int(text) for text in texts if text != "max"]


def _bytes(text: str) -> int:
    kilobytes, _ = text.split()
    return 1024 * int(kilobytes)
