"""Starts services and workers in a tenth of a second, by forking a process that has imported and compiled everything.

Each child runs the main() of `python -m service` or `python -m workers` in a process group of its own. A line on
standard input is a JSON list [kind, log, environment], answered with the child's process id; the end of the input ends
all children.
"""

import ctypes
import importlib
import json
import os
import signal
import subprocess
import sys
import threading
import traceback
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Literal

from benchmarks.chaos import poison, unfenced
from benchmarks.chaos.power import build
from gpu.device import Device
from gpu.warm import warm

Kind = Literal["service", "worker", "unfenced"]
MODULES: dict[Kind, str] = {"service": "service.__main__", "worker": "workers.__main__", "unfenced": "workers.__main__"}

PR_SET_CHILD_SUBREAPER = 36
"""Of Linux' sys/prctl.h."""


class Nursery:
    """The process that forks, as others see it; a context manager."""

    def __init__(self, folder: Path) -> None:
        self.library = build(folder)
        self._held = threading.Lock()
        self._process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.chaos.nursery"],
            env={**os.environ, "LD_PRELOAD": str(self.library), "OMP_NUM_THREADS": "1"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )

    def __enter__(self) -> "Nursery":
        assert self._answer() == "ready"
        return self

    def __exit__(self, *_: object) -> None:
        self._process.communicate()

    def fork(self, kind: Kind, log: Path, environment: Mapping[str, str]) -> int:
        """Start a process; its id."""
        assert self._process.stdin is not None
        with self._held:
            self._process.stdin.write(json.dumps([kind, str(log), dict(environment)]) + "\n")
            self._process.stdin.flush()
            return int(self._answer())

    def _answer(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline().strip()


def main() -> None:
    """Fork for each line."""
    for module in MODULES.values():
        importlib.import_module(module)
    warm(Device("cpu"))
    # The kernel forgets the dead by itself, the children of killed workers too.
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1)
    print("ready", flush=True)
    children = []
    for line in sys.stdin:
        kind, log, environment = json.loads(line)
        pid = os.fork()
        if pid == 0:
            os.environ.update(environment)
            os.setpgid(0, 0)
            run(kind, log)
        with suppress(ProcessLookupError):
            os.setpgid(pid, pid)  # in both: whoever is first
        children.append(pid)
        print(pid, flush=True)
    for pid in children:
        try:
            os.killpg(pid, signal.SIGKILL)
        except ProcessLookupError:
            continue


def run(kind: Kind, log: str) -> None:
    """Become the process; never returns."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    nothing = os.open(os.devnull, os.O_RDONLY)
    for descriptor, file in ((0, nothing), (1, output), (2, output)):
        os.dup2(file, descriptor)
    code = 1
    try:
        if kind != "service":
            poison.plant()
        if kind == "unfenced":
            unfenced.plant()
        code = sys.modules[MODULES[kind]].main()
    except BaseException:  # noqa: BLE001 - it goes to the log, and the process ends
        traceback.print_exc()
    os._exit(code)


if __name__ == "__main__":
    main()
