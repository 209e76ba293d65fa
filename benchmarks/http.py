"""Requests per second of POST /v1/jobs against a plain FastAPI + pydantic + one XADD route on the same Valkey.

python -m benchmarks.http [--rounds 5] [--save]

Both run in one uvicorn process on uvloop and httptools, without workers. The load is raw sockets that keep their
connection and send one prepared request after another, which costs a tenth of what either service costs. The two take
turns, so that other work on the machine meets both.
"""

import argparse
import asyncio
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import cast

import numpy as np
import psutil
import uvloop

from benchmarks.report import save, table
from deploy.local import ask, free_port
from deploy.valkey import Valkey

CONNECTIONS = 32
ROUND_S = 2.0
BODY = (
    b'{"kind":"gram","kernel":{"family":"gaussian","lengthscale":2.0},"x":[[0.0,0.5],[3.0,4.0],[1.25,2.5],[6.0,7.0]]}'
)
REQUEST = (
    b"POST /v1/jobs HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%s"
    % (len(BODY), BODY)
)
PLAIN = ("uvicorn", "benchmarks.plain_app:app", "--loop", "uvloop", "--http", "httptools", "--no-access-log", "--port")


class Connection(asyncio.Protocol):
    """Sends the next request when the reply is whole; a reply has a content-length."""

    def __init__(self, counts: list[int]) -> None:
        self._counts = counts
        self._buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        self._transport = cast(asyncio.Transport, transport)  # uvloop's own is one, and says so nowhere
        self._transport.write(REQUEST)

    def data_received(self, data: bytes) -> None:
        """Count a whole reply."""
        self._buffer += data
        head, found, body = self._buffer.partition(b"\r\n\r\n")
        if not found:
            return
        lower = head.lower()
        length = int(lower.partition(b"content-length:")[2].partition(b"\r\n")[0])
        if len(body) < length:
            return
        if b" 202 " not in head[:16]:
            raise RuntimeError(f"expected 202, got {self._buffer[:500]!r}")
        self._counts[0] += 1
        self._buffer = b""
        self._transport.write(REQUEST)


async def load(port: int) -> int:
    """How many requests were answered in a round."""
    counts, loop = [0], asyncio.get_running_loop()
    transports = [
        (await loop.create_connection(lambda: Connection(counts), "127.0.0.1", port))[0] for _ in range(CONNECTIONS)
    ]
    await asyncio.sleep(ROUND_S)
    for transport in transports:
        transport.close()
    return counts[0]


@contextmanager
def serving(module: tuple[str, ...], url: str, port: int, folder: str) -> Iterator[psutil.Process]:
    """A service on a port."""
    mine = {
        "MERCER_REDIS_URL": url,
        "MERCER_PORT": str(port),
        "MERCER_DATA_DIR": folder,
        "MERCER_MAX_QUEUED": "100000000",
    }
    process = subprocess.Popen([sys.executable, "-m", *module], env={**os.environ, **mine}, stderr=subprocess.DEVNULL)
    try:
        while ask(port, "/readyz") is None:
            if process.poll() is not None:
                raise RuntimeError(f"{module} did not start")
            time.sleep(0.02)
        yield psutil.Process(process.pid)
    finally:
        process.terminate()
        process.wait()


def one_round(process: psutil.Process, port: int) -> tuple[float, float]:
    """Requests per second, and CPU microseconds of the service for each."""
    before = sum(process.cpu_times()[:2])
    requests = uvloop.run(load(port))
    return requests / ROUND_S, (sum(process.cpu_times()[:2]) - before) / requests * 1e6


def main() -> None:
    """Measure, print and save."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--save", action="store_true", help="write benchmarks/results/http.json")
    options = parser.parse_args()
    ours_port, plain_port = free_port(), free_port()
    with (
        tempfile.TemporaryDirectory() as folder,
        Valkey(Path(folder, "valkey")) as valkey,
        serving(("service",), valkey.url, ours_port, folder) as ours,
        serving((*PLAIN, str(plain_port)), valkey.url, plain_port, folder) as plain,
    ):
        rounds = [(one_round(ours, ours_port), one_round(plain, plain_port)) for _ in range(options.rounds)]
    ratios = [mine[0] / theirs[0] for mine, theirs in rounds]
    rows = [
        [name, *(float(np.median([one[who][column] for one in rounds])) for column in (0, 1))]
        for who, name in enumerate(("mercer", "plain FastAPI + pydantic + one XADD"))
    ]
    print(table(["service", "requests/s", "CPU us of the service per request"], rows))
    print(f"mercer / plain: median {np.median(ratios):.2f}, from {min(ratios):.2f} to {max(ratios):.2f} (target 2.5)")
    if options.save:
        print(save("http", {"rounds": rounds, "ratio": float(np.median(ratios))}))


if __name__ == "__main__":
    main()
