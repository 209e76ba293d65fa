"""No-op jobs through our queue and through others on the same Valkey: jobs per second, and latency of single jobs.

python -m benchmarks.queue [--rounds 3] [--save]

Every peer has an environment of its own under the temporary folder, made when it is missing, as their pins exclude each
other. The queues take turns, so that other work on the machine meets all of them.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import redis

from benchmarks.report import save, table
from deploy.local import free_port
from deploy.valkey import server_binary

ROOT = Path(__file__).parent.parent
PEERS = Path(__file__).parent / "peers"
ENVIRONMENTS = Path(tempfile.gettempdir()) / f"mercer-peers-{os.getuid()}"
TIMEOUT_S = 180
LATENCIES = 100


@dataclass(frozen=True)
class Queue:
    """How one queue is installed and run."""

    name: str
    module: str
    packages: tuple[str, ...]
    worker: tuple[str, ...]
    """Arguments of its Python."""
    jobs: int
    """In one round: about a second of them."""


QUEUES = (
    Queue("mercer", "mercer_peer", (), ("mercer_peer.py", "work"), 12_800),
    Queue(
        "Dramatiq, 8 threads",
        "dramatiq_peer",
        ("dramatiq[redis]",),
        ("-m", "dramatiq", "dramatiq_peer", "-p", "1", "-t", "8"),
        1_500,
    ),
    Queue(
        "Celery, solo",
        "celery_peer",
        ("celery[redis]",),
        ("-m", "celery", "-A", "celery_peer", "worker", "-P", "solo", "--without-mingle", "--without-gossip"),
        300,
    ),
    Queue("RQ, SimpleWorker", "rq_peer", ("rq",), ("-m", "rq.cli", "worker", "-w", "rq.SimpleWorker"), 200),
    Queue(
        "taskiq, streams",
        "taskiq_peer",
        ("taskiq", "taskiq-redis"),
        ("-m", "taskiq", "worker", "taskiq_peer:broker", "--workers", "1"),
        500,
    ),
    Queue("arq, poll 10 ms", "arq_peer", ("arq",), ("-m", "arq", "arq_peer.Worker"), 500),
)


def python_of(queue: Queue) -> Path:
    """Its interpreter, installed when it is missing.

    Raises:
        subprocess.CalledProcessError: it cannot be installed.
    """
    if not queue.packages:
        return Path(sys.executable)
    folder = ENVIRONMENTS / queue.module
    if not (folder / "installed").exists():
        uv = ROOT / ".tools" / "bin" / "uv"
        options = {"check": True, "capture_output": True, "env": {**os.environ, "UV_SYSTEM_CERTS": "1"}}
        subprocess.run([uv, "venv", "--clear", "--python", sys.executable, folder], **options)
        subprocess.run([uv, "pip", "install", "--python", folder, *queue.packages], **options)
        (folder / "installed").touch()
    return folder / "bin" / "python"


@contextmanager
def server() -> Iterator[str]:
    """A Valkey on a port, with its data synced each second."""
    port = free_port()
    with tempfile.TemporaryDirectory() as folder:
        options = ("--port", str(port), "--dir", folder, "--appendonly", "yes", "--appendfsync", "everysec")
        process = subprocess.Popen([str(server_binary()), *options, "--save", ""], stdout=subprocess.DEVNULL)
        try:
            while not redis_answers(port):
                time.sleep(0.01)
            yield f"redis://127.0.0.1:{port}/0"
        finally:
            process.kill()
            process.wait()


def redis_answers(port: int) -> bool:
    """Whether it is up."""
    try:
        return redis.Redis(port=port).ping()
    except redis.ConnectionError:
        return False


def run(queue: Queue, python: Path, url: str) -> dict[str, Any]:
    """One round of a queue on a server that was emptied."""
    redis.Redis.from_url(url).flushall()
    environment = {**os.environ, "PEER_URL": url, "PYTHONPATH": f"{PEERS}:{ROOT}", "RQ_REDIS_URL": url}
    options: dict[str, Any] = {"cwd": PEERS, "env": environment, "stderr": subprocess.DEVNULL}
    worker = subprocess.Popen([python, *queue.worker], stdout=subprocess.DEVNULL, **options)
    try:
        command = [python, f"{queue.module}.py", str(queue.jobs), str(LATENCIES)]
        answer = subprocess.run(command, stdout=subprocess.PIPE, timeout=TIMEOUT_S, check=True, **options)
    finally:
        worker.kill()
        worker.wait()
    return json.loads(answer.stdout)


def measure(rounds: int) -> dict[str, list[dict[str, Any]]]:
    """All rounds of all queues that can be installed, in turn."""
    pythons = {}
    for queue in QUEUES:
        try:
            pythons[queue] = python_of(queue)
        except subprocess.CalledProcessError as error:
            print(f"{queue.name} is left out: {error.stderr.decode().strip().splitlines()[-1]}")
    found: dict[str, list[dict[str, Any]]] = {queue.name: [] for queue in pythons}
    with server() as url:
        for _ in range(rounds):
            for queue, python in pythons.items():
                found[queue.name].append(run(queue, python, url))
    return found


def main() -> None:
    """Measure, print and save."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--save", action="store_true", help="write benchmarks/results/queue.json")
    options = parser.parse_args()
    found = measure(options.rounds)
    ours = [one["jobs_per_s"] for one in found["mercer"]]
    rows = []
    for name, rounds in found.items():
        theirs = [one["jobs_per_s"] for one in rounds]
        p50, p99 = np.percentile([ms for one in rounds for ms in one["times_ms"]], [50, 99])
        ratios = [our / their for our, their in zip(ours, theirs, strict=True)]
        rows.append([name, float(np.median(theirs)), float(np.median(ratios)), min(ratios), float(p50), float(p99)])
    header = ["queue", "jobs/s", "mercer / it", "in the worst round", "p50 ms", "p99 ms"]
    print(table(header, rows))
    if options.save:
        print(save("queue", {"rounds": options.rounds, "rows": [dict(zip(header, row, strict=True)) for row in rows]}))


if __name__ == "__main__":
    main()
