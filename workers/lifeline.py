"""Nothing outlives its parent: however that ended, a process of its own ends too."""

from __future__ import annotations

import ctypes
import os
import signal
import threading
import time

PR_SET_PDEATHSIG = 1
"""Of Linux' sys/prctl.h."""

LOOK_INTERVAL_S = 0.1


def end_with(parent: int) -> None:
    """Have this process killed when its parent ends, whose only thread has forked it.

    On Linux the kernel does it at once, even where this process is stopped or stuck in foreign code. Elsewhere a thread
    looks every tenth of a second.
    """
    try:
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    except AttributeError:
        threading.Thread(target=_watch, args=(parent,), name="lifeline", daemon=True).start()
    if os.getppid() != parent:  # it ended before the kernel was told
        os.kill(os.getpid(), signal.SIGKILL)


def _watch(parent: int) -> None:
    while os.getppid() == parent:
        time.sleep(LOOK_INTERVAL_S)
    os.kill(os.getpid(), signal.SIGKILL)
