"""What a request costs the process that serves it, and how others fare meanwhile."""

import socket
import threading
import time
from pathlib import Path
from typing import NamedTuple, Self

from benchmarks.edge.wire import read_answer

LIVEZ = b"GET /livez HTTP/1.1\r\nHost: edge\r\n\r\n"
PAUSE_S = 0.002


class Cost(NamedTuple):
    """Of what was done while it was watched."""

    wall_ms: float
    cpu_ms: float
    growth_mib: float
    """Peak of resident memory over what it was before."""
    livez_ms: float
    """The longest answer of /livez."""


class Watch:
    """Watches one process of the service, from `with` to its end; Linux.

    Args:
        port: Where it listens.
        pid: Its process.
        pause_s: Between two questions to /livez, which cost the process something, too.
    """

    def __init__(self, port: int, pid: int, pause_s: float = PAUSE_S) -> None:
        self._pause_s = pause_s
        self._port = port
        self._proc = Path("/proc", str(pid))
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._ask)
        self.livez_ms: list[float] = []

    def __enter__(self) -> Self:
        (self._proc / "clear_refs").write_text("5")  # sets the peak to what it is now
        self._rss = self._status("VmHWM")
        self._thread.start()
        self._cpu, self._wall = self._cpu_s(), time.perf_counter()
        return self

    def __exit__(self, *_: object) -> None:
        wall_s, cpu_s = time.perf_counter() - self._wall, self._cpu_s() - self._cpu
        self._ended.set()
        self._thread.join()
        growth = self._status("VmHWM") - self._rss
        self.cost = Cost(wall_s * 1e3, cpu_s * 1e3, growth / 2**20, max(self.livez_ms, default=0.0))

    def _ask(self) -> None:
        with socket.create_connection(("127.0.0.1", self._port), 10) as connection:
            while not self._ended.wait(self._pause_s):
                start = time.perf_counter()
                connection.sendall(LIVEZ)
                assert read_answer(connection).status == 200
                self.livez_ms.append((time.perf_counter() - start) * 1e3)

    def _status(self, field: str) -> int:
        lines = (self._proc / "status").read_text().splitlines()
        [kilobytes] = [line.split()[1] for line in lines if line.startswith(f"{field}:")]
        return int(kilobytes) * 1024

    def _cpu_s(self) -> float:
        """Of all its threads, in nanoseconds' resolution, where os.times has hundredths of a second."""
        threads = (self._proc / "task").iterdir()
        return sum(int((thread / "schedstat").read_text().split()[0]) for thread in threads) / 1e9
