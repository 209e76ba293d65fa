"""A batch of 50,000 lines: memory of the API while it is checked and admitted, and jobs/s beside submit_many.

python -m benchmarks.batches [--lines 50000] [--jobs 5000] [--save]
"""

import argparse
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

import mercer
from benchmarks.report import save, table
from deploy.local import LocalService
from mercer import kernels as k

ROUNDS = 3
SPEC = mercer.Gram(kernel=k.Gaussian(), x=[[0.0, 0.0], [3.0, 4.0]])
MAX_GROWTH_MIB = 64
MIN_RATIO = 0.8


@contextmanager
def growth_mib(pid: int) -> Iterator[list[float]]:
    """How much the resident memory of a process grew at most meanwhile."""
    process, ended = psutil.Process(pid), threading.Event()
    before, grown = process.memory_info().rss, [0.0]

    def look() -> None:
        while not ended.wait(0.02):
            grown[0] = max(grown[0], (process.memory_info().rss - before) / 2**20)

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield grown
    finally:
        ended.set()
        thread.join()


def through_batch(client: mercer.Client, jobs: int) -> float:
    """Jobs per second, from the first line until the last result is here."""
    start = time.perf_counter()
    batch = client.batch((str(number), SPEC) for number in range(jobs))
    assert sum(1 for _ in batch.results(progress=False)) == jobs
    return jobs / (time.perf_counter() - start)


def through_submit_many(client: mercer.Client, jobs: int) -> float:
    """The same jobs in bulk requests."""
    start = time.perf_counter()
    assert sum(1 for _ in mercer.as_completed(client.submit_many([SPEC] * jobs))) == jobs
    return jobs / (time.perf_counter() - start)


def main() -> None:
    """Print both figures and whether the bounds hold."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--lines", type=int, default=50_000)
    parser.add_argument("--jobs", type=int, default=5_000)
    parser.add_argument("--save", action="store_true", help="write benchmarks/results/batches.json")
    arguments = parser.parse_args()
    with (
        tempfile.TemporaryDirectory() as folder,
        LocalService(Path(folder)) as local,
        mercer.Client(local.url) as client,
    ):
        through_submit_many(client, 200)
        pairs = [
            (through_batch(client, arguments.jobs), through_submit_many(client, arguments.jobs)) for _ in range(ROUNDS)
        ]
        with growth_mib(local.pids["service"]) as grown:
            whole = through_batch(client, arguments.lines)
    ratio = max(batch for batch, _ in pairs) / max(many for _, many in pairs)
    print(table(("batch jobs/s", "submit_many jobs/s"), pairs))
    print(f"best against best {ratio:.2f} (bound {MIN_RATIO})")
    print(f"{arguments.lines} lines: {whole:.0f} jobs/s, RSS growth {grown[0]:.1f} MiB (bound {MAX_GROWTH_MIB})")
    if arguments.save:
        save("batches", {"rounds": pairs, "ratio": ratio, "lines": arguments.lines, "growth_mib": grown[0]})


if __name__ == "__main__":
    main()
