"""The whole service on one machine: Valkey, the HTTP service and workers, as child processes of this one.

It starts them in order, starts again what dies, and ends them in order: first those who work, then the queue.
"""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Mapping
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from types import TracebackType
from typing import Self

from deploy.process import ChildProcess
from deploy.supervisor import Supervisor
from deploy.valkey import Valkey

HOST = "127.0.0.1"

READY_TIMEOUT_S = 60.0
"""Loading a large append-only file takes seconds; longer than this, something is wrong."""

DRAIN_TIMEOUT_S = 30.0
"""A worker gives its batch back 20 s after SIGTERM, the service lets its requests end in 10 s."""


class PortInUse(RuntimeError):
    """Somebody else listens on the port."""


class NotReady(RuntimeError):
    """The service did not come up."""


class LocalService:
    """A running Mercer; a context manager.

    MERCER_REDIS_URL in the environment is used as it is; without it a Valkey is started on the data folder.

    Args:
        data_dir: Queue, data sets and results; made when missing. One running service at a time may use it.
        port: 0 takes a free one.
        workers: Worker processes.
        environment: MERCER_* variables for the processes, beside those of os.environ.
        logs: A folder that gets what the processes print; absent, they print where this one does.
    """

    def __init__(
        self,
        data_dir: Path | str,
        *,
        port: int = 0,
        workers: int = 1,
        environment: Mapping[str, str] | None = None,
        logs: Path | None = None,
    ) -> None:
        self.data_dir = Path(data_dir).resolve()
        self.port = port
        self._environment = {**os.environ, **(environment or {})}
        self._n_workers = workers
        self._logs = logs
        self._valkey = None if "MERCER_REDIS_URL" in self._environment else Valkey(self.data_dir / "valkey")
        self._children: list[ChildProcess] = []
        self._supervisor: Supervisor | None = None

    @property
    def url(self) -> str:
        """Where it listens."""
        return f"http://{HOST}:{self.port}"

    @property
    def root_key(self) -> str | None:
        """The API key that its environment gives; None when it asks for none."""
        if file := self._environment.get("MERCER_ROOT_KEY_FILE"):
            return Path(file).read_text().strip()
        return self._environment.get("MERCER_ROOT_KEY")

    @property
    def pids(self) -> dict[str, int]:
        """By name: valkey (when it is ours), service, worker-1, worker-2, ..."""
        return {process.name: process.pid for process in self._processes()}

    def start(self) -> None:
        """Start everything and return when the service answers; workers may still be warming up.

        Raises:
            DataDirLocked: another service runs on the data folder.
            PortInUse: somebody else listens on the port.
            NoServerBinary: MERCER_REDIS_URL is not set, and no Valkey is installed.
            NotReady: the service did not come up.
        """
        try:
            self._start()
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Drain and end everything; may be called twice."""
        if self._supervisor is not None:
            self._supervisor.stop()
            self._supervisor = None
        for child in self._children:
            child.terminate()
        deadline = time.monotonic() + DRAIN_TIMEOUT_S
        for child in self._children:
            child.wait(max(0.0, deadline - time.monotonic()))
        if self._valkey is not None:
            self._valkey.stop()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _start(self) -> None:
        if self._valkey is not None:
            self._valkey.start()
        self.port = free_port(self.port)
        self._children = self._our_processes()
        for child in self._children:
            child.start()
        self._wait_until_ready()
        self._supervisor = Supervisor(self._processes())
        self._supervisor.start()

    def _processes(self) -> list[Valkey | ChildProcess]:
        return [*([] if self._valkey is None else [self._valkey]), *self._children]

    def _our_processes(self) -> list[ChildProcess]:
        environment = {
            **self._environment,
            "MERCER_DATA_DIR": str(self.data_dir),
            "MERCER_HOST": HOST,
            "MERCER_PORT": str(self.port),
        }
        if self._valkey is not None:
            environment["MERCER_REDIS_URL"] = self._valkey.url
        if self._logs is not None:
            self._logs.mkdir(parents=True, exist_ok=True)
        modules = {"service": "service"} | {f"worker-{n}": "workers" for n in range(1, self._n_workers + 1)}
        return [
            ChildProcess(name, module, environment, log=self._logs and self._logs / f"{name}.log")
            for name, module in modules.items()
        ]

    def _wait_until_ready(self) -> None:
        service = self._children[0]
        deadline = time.monotonic() + READY_TIMEOUT_S
        while ask(self.port, "/readyz") is None:
            if not service.running or time.monotonic() > deadline:
                what = "was not ready in time" if service.running else "ended at once"
                raise NotReady(
                    f"the service {what}; what it printed is {f'in {self._logs}' if self._logs else 'above'}"
                )
            time.sleep(0.02)


def free_port(port: int = 0) -> int:
    """The port itself when nobody listens on it; a free one for 0.

    Raises:
        PortInUse: somebody listens on it.
    """
    with socket.socket() as listener:
        # As the service does: without it the connections of one that just ended would count as somebody.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            listener.bind((HOST, port))
        except OSError as error:
            raise PortInUse(f"port {port} of {HOST} cannot be taken: {error.strerror}") from None
        return int(listener.getsockname()[1])


def ask(port: int, path: str, api_key: str | None = None) -> bytes | None:
    """The body of a 200 answer of the service; None when there is none."""
    # Not urllib, which would send it through the proxy that the environment names.
    connection = HTTPConnection(HOST, port, timeout=5.0)
    try:
        connection.request("GET", path, headers={"Authorization": f"Bearer {api_key}"} if api_key else {})
        response = connection.getresponse()
        body = response.read()
    except (OSError, HTTPException):
        return None
    finally:
        connection.close()
    return body if response.status == 200 else None
