"""The whole service against Dramatiq on the same Valkey: jobs per second, CPU per job, latency of one tiny job.

python -m benchmarks.service [--save]
"""

import argparse
import base64
import io
import os
import secrets
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import psutil

import mercer
from benchmarks.report import save, table
from deploy.local import LocalService
from deploy.valkey import Valkey
from mercer import kernels as k

JOBS = 1_000
SIZE, DIMENSION = 50, 8
ROUNDS = 3
TINY = [[0.0, 0.0], [3.0, 4.0]]


def points(seed: int) -> np.ndarray:
    """Fresh points for every job: nothing is answered from a cache."""
    return np.random.default_rng(seed).normal(size=(SIZE, DIMENSION))


@contextmanager
def service(batch: int) -> Iterator[LocalService]:
    """The whole service with at most `batch` jobs in a launch."""
    with tempfile.TemporaryDirectory() as folder:
        environment = {"MERCER_BATCH_JOBS": str(batch)}
        with LocalService(Path(folder), environment=environment, logs=Path(folder)) as local:
            yield local


def cpu_s(local: LocalService) -> float:
    """User and system time of the service's processes so far."""
    started = [psutil.Process(pid) for pid in local.pids.values()]
    processes = [one for process in started for one in (process, *process.children())]
    return sum(sum(one.cpu_times()[:2]) for one in processes)


def submit_all(client: mercer.Client, specs: list[mercer.Gram]) -> float:
    """Seconds from the first submission until the last result is in the client's memory."""
    start = time.perf_counter()
    for job in mercer.as_completed(client.submit_many(specs)):
        job.result()
    return time.perf_counter() - start


def grams(round_: int) -> list[mercer.Gram]:
    """The thousand 50 x 50 jobs."""
    kernel = k.Gaussian(lengthscale=2.0)
    return [mercer.Gram(kernel=kernel, x=points(round_ * JOBS + i)) for i in range(JOBS)]


def tiny(_: int) -> list[mercer.Gram]:
    """Jobs whose computing costs nothing: what is left is the path."""
    return [mercer.Gram(kernel=k.Gaussian(), x=TINY)] * JOBS


def through_service(batch: int, make: Callable[[int], list[mercer.Gram]]) -> tuple[float, float]:
    """Jobs per second, and CPU microseconds per job of API, worker and Valkey together (client excluded)."""
    with service(batch) as local, mercer.Client(local.url) as client:
        submit_all(client, make(99))
        best, cost = np.inf, np.inf
        for round_ in range(ROUNDS):
            specs = make(round_)
            before = cpu_s(local)
            best = min(best, submit_all(client, specs))
            cost = min(cost, (cpu_s(local) - before) / JOBS * 1e6)
        return JOBS / best, cost


def latency_ms() -> np.ndarray:
    """From submit to the result in hand, one tiny job after another on an idle service."""
    spec = tiny(0)[0]
    with service(64) as local, mercer.Client(local.url) as client:
        times = []
        for _ in range(220):
            start = time.perf_counter()
            client.submit(spec).result()
            times.append(time.perf_counter() - start)
    return np.array(times[20:]) * 1e3


@contextmanager
def dramatiq_worker() -> Iterator[subprocess.Popen[bytes]]:
    """One process of eight threads, as Dramatiq is run by default on two cores."""
    command = [sys.executable, "-m", "dramatiq", "benchmarks.dramatiq_peer", "-p", "1", "-t", "8"]
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1"}
    worker = subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL)
    try:
        yield worker
    finally:
        worker.terminate()
        worker.wait()


def encoded(x: np.ndarray) -> str:
    """An npy file in base64."""
    out = io.BytesIO()
    np.save(out, x)
    return base64.b64encode(out.getvalue()).decode()


def through_dramatiq() -> tuple[float, float]:
    """Jobs per second of Gram jobs with Dramatiq's own results, and with results by hand, on an equal server."""
    with tempfile.TemporaryDirectory() as folder, Valkey(Path(folder)) as valkey:
        os.environ["PEER_REDIS_URL"] = valkey.url
        from benchmarks import dramatiq_peer as peer  # reads the address when it is imported

        def own(inputs: list[np.ndarray]) -> None:
            messages = [peer.gram.send(encoded(x), 2.0) for x in inputs]
            for message in messages:
                np.load(io.BytesIO(base64.b64decode(message.get_result(block=True, timeout=60_000))))

        def by_hand(inputs: list[np.ndarray]) -> None:
            keys = [f"peer:{secrets.token_hex(8)}" for _ in inputs]
            for key, x in zip(keys, inputs, strict=True):
                peer.gram_by_hand.send(key, encoded(x), 2.0)
            while peer.connection.exists(*keys) < len(keys):
                time.sleep(0.005)
            for file in peer.connection.mget(keys):
                np.load(io.BytesIO(file))

        with dramatiq_worker():
            return peer_rate(own), peer_rate(by_hand)


def peer_rate(run: Callable[[list[np.ndarray]], None]) -> float:
    """Jobs per second from the first submission until the last array is in the client's memory."""
    times = []
    for round_ in range(ROUNDS + 1):
        inputs = [points(round_ * JOBS + i) for i in range(JOBS)]
        start = time.perf_counter()
        run(inputs)
        times.append(time.perf_counter() - start)
    return JOBS / min(times[1:])


def main() -> None:
    """Measure, print the table, and save it when asked."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--save", action="store_true", help="write benchmarks/results/service.json")
    arguments = parser.parse_args()
    batched, batched_us = through_service(64, grams)
    single, single_us = through_service(1, grams)
    noop, noop_us = through_service(64, tiny)
    p50, p99 = np.percentile(latency_ms(), [50, 99])
    peer, by_hand = through_dramatiq()
    rows = [
        ("1,000 Gram jobs of 50 x 50, d = 8: jobs/s", batched, "", ""),
        ("the same with batch size 1: jobs/s", single, "batched / single", batched / single),
        ("Dramatiq, 8 threads, its own results: jobs/s", peer, "mercer / it", batched / peer),
        ("Dramatiq, 8 threads, results by hand: jobs/s", by_hand, "mercer / that", batched / by_hand),
        ("CPU of API + worker + Valkey per Gram job: us", batched_us, "with batch size 1: us", single_us),
        ("tiny jobs at batch 64: jobs/s", noop, "CPU of API + worker + Valkey per job: us", noop_us),
        ("one tiny job, submit to result, p50: ms", p50, "p99: ms", p99),
    ]
    print(table(("measure", "value", "beside", "value"), rows))
    if arguments.save:
        save("service", {name: value for row in rows for name, value in (row[:2], row[2:]) if name})


if __name__ == "__main__":
    main()
