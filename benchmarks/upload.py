"""Uploads of npy through the running service: speed, memory of the API, and how others fare meanwhile.

One of 100 MB, and 100 of 0.5 MB at once.

python -m benchmarks.upload [--save]
"""

import argparse
import hashlib
import tempfile
import threading
import time
from pathlib import Path

import httpx2
import numpy as np
import psutil

import mercer
from benchmarks.report import save, table
from benchmarks.upload_burst import Burst
from deploy.local import LocalService

SHAPE = (1_562_500, 8)
"""100 MB of float64."""

AT_ONCE = 100
ROUNDS = 3
PROBE_INTERVAL_S = 0.005
MAX_GROWTH_MIB = 32
MAX_LIVEZ_P99_MS = 50


class Probe:
    """Asks /livez and reads the resident memory of the API again and again, beside the upload."""

    def __init__(self, url: str, pid: int) -> None:
        self._url = url
        self._process = psutil.Process(pid)
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self.livez_ms: list[float] = []
        self.rss_bytes: list[int] = []

    def __enter__(self) -> "Probe":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def _run(self) -> None:
        with httpx2.Client(trust_env=False) as http:
            while not self._ended.wait(PROBE_INTERVAL_S):
                start = time.perf_counter()
                http.get(f"{self._url}/livez").raise_for_status()
                self.livez_ms.append((time.perf_counter() - start) * 1_000)
                self.rss_bytes.append(self._process.memory_info().rss)


def upload(local: LocalService, path: Path) -> dict[str, float]:
    """One upload of a file that the service does not know."""
    api = psutil.Process(local.pids["service"])
    digest = "sha256:" + hashlib.sha256(path.read_bytes()).hexdigest()
    before, cpu_before = api.memory_info().rss, sum(api.cpu_times()[:2])
    with mercer.Client(local.url) as client, Probe(local.url, api.pid) as probe:
        start = time.perf_counter()
        dataset = client.datasets.upload(path)
        wall_s = time.perf_counter() - start
        cpu_s = sum(api.cpu_times()[:2]) - cpu_before
        assert dataset.digest == digest
    megabytes = path.stat().st_size / 1e6
    return {
        "MB/s": megabytes / wall_s,
        "API CPU MB/s": megabytes / cpu_s,
        **_meanwhile(probe, before),
    }


def burst(local: LocalService, seed: int) -> dict[str, float]:
    """Many small uploads at once."""
    api = psutil.Process(local.pids["service"])
    before = api.memory_info().rss
    with Burst(local.port, AT_ONCE, seed) as uploads, Probe(local.url, api.pid) as probe:
        start = time.perf_counter()
        uploads.send()
        wall_s = time.perf_counter() - start
    return {"uploads/s": AT_ONCE / wall_s, **_meanwhile(probe, before)}


def _meanwhile(probe: Probe, before: int) -> dict[str, float]:
    return {
        "RSS growth MiB": (max(probe.rss_bytes) - before) / 2**20,
        "livez p50 ms": float(np.percentile(probe.livez_ms, 50)),
        "livez p99 ms": float(np.percentile(probe.livez_ms, 99)),
        "livez asked": len(probe.livez_ms),
    }


def main() -> None:
    """Print a row for each upload and whether the bounds hold."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--save", action="store_true", help="write benchmarks/results/upload.json")
    arguments = parser.parse_args()
    rows, bursts = [], []
    with tempfile.TemporaryDirectory() as folder, LocalService(Path(folder, "data")) as local:
        for seed in range(ROUNDS):
            path = Path(folder, "points.npy")
            np.save(path, np.random.default_rng(seed).normal(size=SHAPE))
            rows.append(upload(local, path))
            bursts.append(burst(local, seed))
    for title, measured in (("one of 100 MB", rows), (f"{AT_ONCE} of 0.5 MB at once", bursts)):
        print(title)
        print(table(list(measured[0]), [list(row.values()) for row in measured]))
        p99_ms = max(row["livez p99 ms"] for row in measured)
        print(f"/livez p99 {p99_ms:.1f} ms at worst (bound {MAX_LIVEZ_P99_MS})")
    print(f"RSS growth {max(row['RSS growth MiB'] for row in rows):.1f} MiB at worst (bound {MAX_GROWTH_MIB}), of one")
    if arguments.save:
        save("upload", {"one": rows, "at once": bursts})


if __name__ == "__main__":
    main()
