"""One machine: a queue server, a service, workers, and links between them, all of which can be broken."""

import json
import os
import re
import signal
import threading
import time
from contextlib import ExitStack, suppress
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.chaos.nursery import Kind, Nursery
from benchmarks.chaos.power import Power
from benchmarks.chaos.proxy import Proxy
from benchmarks.chaos.queue_server import QueueServer
from deploy.local import ask, free_port

KEEPER_INTERVAL_S = 0.1
READY_TIMEOUT_S = 30.0
TURNED_AWAY = re.compile(r"were refused|was lost|lease .* is lost|lost the lease")


class Machine:
    """Starts everything and starts again what dies; a context manager.

    Args:
        nursery: Where its processes come from.
        workers: How many.
        lease_s: Of a batch.
        appendfsync: Of the queue server.
        fenced: Whether outcomes are checked against the lease; False plants the fault.
    """

    def __init__(
        self,
        nursery: Nursery,
        *,
        workers: int = 2,
        lease_s: float = 2.0,
        appendfsync: str = "always",
        fenced: bool = True,
    ) -> None:
        self._closing = ExitStack()
        self.folder = Path(self._closing.enter_context(TemporaryDirectory(prefix="mercer-chaos-", dir="/tmp")))
        self.disk = self.folder / "disk"
        """All that must outlast a power cut: `queue` and `data`."""
        self.disk.mkdir()
        self.lease_s = lease_s
        self.power = Power(nursery.library, self.folder / "synced.txt")
        self._nursery = nursery
        self.direct_port, self.port = free_port(), free_port()
        self.queue = QueueServer(self.disk / "queue", self.folder / "q.sock", appendfsync, self.power.environment)
        self.queue_link = Proxy(self.folder / "link.sock", self.queue.socket)
        self.http_link = Proxy(self.port, self.direct_port)
        self.exempt: set[str] = set()
        """Who is left alone by `kill`: those that are stopped."""
        self.pids: dict[str, int] = {}
        self._names = ["service", *(f"worker-{n}" for n in range(1, workers + 1))]
        self._worker: Kind = "worker" if fenced else "unfenced"
        self._held = threading.Lock()
        self._stopped = threading.Event()

    @property
    def url(self) -> str:
        """The service, without a faulty link."""
        return f"http://127.0.0.1:{self.direct_port}"

    @property
    def faulty_url(self) -> str:
        """The service, through the link."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def workers(self) -> list[str]:
        """Their names."""
        return self._names[1:]

    def __enter__(self) -> "Machine":
        self.queue.start()
        self._closing.enter_context(self.queue_link)
        self._closing.enter_context(self.http_link)
        self.tend()
        self.wait_ready()
        self._keeper = threading.Thread(target=self._keep, daemon=True)
        self._keeper.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        self._keeper.join()
        for name in self.pids:
            self.signal(name, signal.SIGKILL)
        self.queue.kill()
        self._closing.close()

    def signal(self, name: str, number: int) -> None:
        """Send a signal to one that lives; of a worker to parent and child at once, as when its machine dies."""
        with suppress(ProcessLookupError):
            os.killpg(self.pids[name], number)

    def tend(self) -> None:
        """Start what is not alive."""
        with self._held:
            for name in self._names:
                if name not in self.pids or not alive(self.pids[name]):
                    kind: Kind = "service" if name == "service" else self._worker
                    self.pids[name] = self._fork(kind, name)

    def cut_power(self) -> int:
        """Kill everything at once, drop what was not synced, and start again; the bytes that were dropped."""
        with self._held:
            self.queue.kill()
            for name in self._names:
                self.signal(name, signal.SIGKILL)
            while any(map(alive, self.pids.values())):
                time.sleep(0.005)
            dropped = self.power.cut(self.disk)
            self.queue.start()
        self.tend()
        return dropped

    def restart_queue(self, away_s: float = 0.2) -> None:
        """Kill the queue server and start it on its data."""
        self.queue.kill()
        time.sleep(away_s)
        self.queue.start()

    def wait_ready(self) -> None:
        """Until the service answers."""
        deadline = time.monotonic() + READY_TIMEOUT_S
        while ask(self.direct_port, "/readyz") is None:
            if time.monotonic() > deadline:
                raise RuntimeError(f"the service did not come up: {self.log('service')[-2000:]}")
            time.sleep(0.02)

    def log(self, name: str) -> str:
        """What a process has printed."""
        path = self.folder / f"{name}.log"
        return path.read_text(errors="replace") if path.exists() else ""

    def turned_away(self) -> int:
        """How often a worker heard that its lease was lost, or that its outcomes were refused."""
        return sum(len(TURNED_AWAY.findall(self.log(name))) for name in self.workers)

    def name_of(self, worker: str) -> str | None:
        """Which of ours a job's record names; None for one that has died."""
        pid = int(worker.rpartition(":")[2])
        return next((name for name, known in self.pids.items() if known == pid), None)

    def busy(self) -> str | None:
        """A worker that runs a job, if there is one."""
        page = ask(self.direct_port, "/v1/jobs?state=running&limit=1")
        jobs = json.loads(page)["jobs"] if page else []
        return self.name_of(jobs[0]["worker"]) if jobs else None

    def _fork(self, kind: Kind, name: str) -> int:
        environment = {
            "MERCER_REDIS_URL": f"unix://{self.folder / 'link.sock'}",
            "MERCER_DATA_DIR": str(self.disk / "data"),
            "MERCER_PORT": str(self.direct_port),
            "MERCER_LEASE_S": str(self.lease_s),
            "MERCER_DEVICE": "cpu",
            **self.power.environment,
        }
        return self._nursery.fork(kind, self.folder / f"{name}.log", environment)

    def _keep(self) -> None:
        while not self._stopped.wait(KEEPER_INTERVAL_S):
            self.tend()


def alive(group: int) -> bool:
    """Whether any process of a group exists; the nursery leaves no dead ones behind."""
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True
