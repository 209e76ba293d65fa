"""What benchmarks ask of a CUDA device: its name, and how long something takes on it."""

from __future__ import annotations

import time
from collections.abc import Callable

N_REPEATS = 10


def device_name() -> str:
    """Of the first one; ends the process, saying so, where there is none."""
    try:
        import cupy
    except ImportError:
        raise SystemExit("CuPy is not installed: pip install cupy-cuda13x, on a machine with a CUDA device") from None
    if not cupy.cuda.is_available():
        raise SystemExit("there is no CUDA device here: nothing was measured")
    return str(cupy.cuda.runtime.getDeviceProperties(0)["name"].decode())


def device_seconds(action: Callable[[], object]) -> float:
    """The shortest of some runs on the device, after one that compiles."""
    import cupy

    action()
    times = []
    for _ in range(N_REPEATS):
        begin, end = cupy.cuda.Event(), cupy.cuda.Event()
        begin.record()
        action()
        end.record()
        end.synchronize()
        times.append(cupy.cuda.get_elapsed_time(begin, end) / 1e3)
    return min(times)


def host_seconds(action: Callable[[], object]) -> float:
    """The shortest of some runs, from host arrays to host arrays, after one that compiles."""
    action()
    times = []
    for _ in range(N_REPEATS):
        begin = time.perf_counter()
        action()
        times.append(time.perf_counter() - begin)
    return min(times)
