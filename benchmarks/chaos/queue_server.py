"""Valkey as an operator would run it, with every fault that a server can have."""

import os
import subprocess
import time
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

import redis

from deploy.valkey import server_binary

START_TIMEOUT_S = 30.0


class QueueServer:
    """A server on a unix socket that is killed and started again on its data.

    Args:
        folder: Its data.
        socket: Where it listens.
        appendfsync: always, everysec or no.
        environment: Beside that of this process.
    """

    def __init__(self, folder: Path, socket: Path, appendfsync: str, environment: Mapping[str, str]) -> None:
        self.socket = socket
        self._folder = folder
        self._appendfsync = appendfsync
        self._environment = {**os.environ, **environment}
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def running(self) -> bool:
        """Whether it lives; a full disk ends it."""
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        """Start it and wait until it has loaded its data."""
        self._folder.mkdir(parents=True, exist_ok=True)
        options = {
            "dir": self._folder,
            "port": 0,
            "unixsocket": self.socket,
            "appendonly": "yes",
            "appendfsync": self._appendfsync,
            "maxmemory-policy": "noeviction",
            "save": "",
            "logfile": self.socket.with_suffix(".log"),
        }
        words = [str(word) for name, value in options.items() for word in (f"--{name}", value)]
        self._process = subprocess.Popen(
            [str(server_binary()), *words], env=self._environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        deadline = time.monotonic() + START_TIMEOUT_S
        with redis.Redis(unix_socket_path=str(self.socket)) as client:
            while time.monotonic() < deadline and self.running:
                with suppress(redis.RedisError):
                    if client.ping():
                        return
                time.sleep(0.01)
        raise RuntimeError(f"the queue server did not start: {self._last_words()}")

    def kill(self) -> None:
        """With SIGKILL."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def _last_words(self) -> str:
        log = self.socket.with_suffix(".log")
        return log.read_text().splitlines()[-1] if log.exists() else ""
