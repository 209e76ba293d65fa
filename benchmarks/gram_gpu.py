"""Gram matrices on a CUDA device: `python -m benchmarks.gram_gpu [--save]`.

How much of the device's measured write bandwidth a build reaches, and what a ragged batch saves over one launch a job.
"""

from __future__ import annotations

import argparse
from typing import Any

import numpy as np

from benchmarks.on_device import device_name, device_seconds, host_seconds
from benchmarks.report import save, table
from gpu.cuda import gram
from gpu.cuda.backend import CudaDevice
from gpu.cuda.packing import pack_arrays, pack_records
from gpu.leaves import Floats, Program
from gpu.prepare import Request, batches, program
from mercer import kernels as k

SINGLE = np.dtype(np.float32)
N_POINTS = 32_768
DIMENSIONS = (1, 3, 8, 16)
KERNELS = {"gaussian": k.Gaussian(lengthscale=1.3), "matern 5/2 + white": 0.7 * k.Matern(nu=2.5) + k.White(0.01)}
N_JOBS, JOB_POINTS, JOB_DIMENSIONS = 1000, 50, 8


def main() -> None:
    """Measures, prints, and with --save keeps the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--save", action="store_true", help="keep the figures in benchmarks/results/")
    arguments = parser.parse_args()
    device = device_name()
    bandwidth = _write_bandwidth()
    print(f"{device}: writes {bandwidth / 1e9:.0f} GB/s\n")
    builds = [
        _build(name, d, symmetric, bandwidth) for name in KERNELS for d in DIMENSIONS for symmetric in (True, False)
    ]
    print(table(list(builds[0]), [list(build.values()) for build in builds]))
    batch = _batch()
    print("\n" + table(list(batch), [list(batch.values())]))
    if arguments.save:
        print(save("gram_gpu", {"write_bytes_per_s": bandwidth, "builds": builds, "batch": batch}, device=device))


def _write_bandwidth() -> float:
    """Bytes a second of filling as much memory as the matrices take."""
    import cupy

    array = cupy.empty(N_POINTS**2, SINGLE)
    fill = device_seconds(lambda: array.fill(1))
    clear = device_seconds(lambda: array.data.memset_async(0, array.nbytes))
    return float(array.nbytes / min(fill, clear))


def _build(name: str, d: int, symmetric: bool, bandwidth: float) -> dict[str, Any]:
    """One matrix, on the device alone."""
    random = np.random.default_rng(0)
    x = random.normal(size=(N_POINTS, d))
    y = None if symmetric else random.normal(size=(N_POINTS, d))
    given = program(KERNELS[name], x, y, SINGLE)
    kernel = gram.instance(given, SINGLE)
    backend = CudaDevice()
    arrays = pack_arrays([given], kernel.precision)
    records = pack_records([given], arrays)
    out = backend.empty(records.size, SINGLE)
    passed = (backend.put(records.buffer), backend.put(arrays.buffer), np.int64(1), out)
    seconds = device_seconds(
        lambda: backend.launch(gram.FILE, kernel.expression, records.n_blocks, gram.N_THREADS, passed)
    )
    written = records.size * SINGLE.itemsize
    return {
        "kernel": name,
        "n": N_POINTS,
        "d": d,
        "y": "absent" if symmetric else "given",
        "milliseconds": seconds * 1e3,
        "GB/s": written / seconds / 1e9,
        "share of write bandwidth": written / seconds / bandwidth,
    }


def _batch() -> dict[str, Any]:
    """Small jobs, from host arrays to host arrays."""
    random = np.random.default_rng(0)
    points = [random.normal(size=(JOB_POINTS, JOB_DIMENSIONS)) for _ in range(N_JOBS)]
    prepared = batches([Request(KERNELS["gaussian"], x, None) for x in points], SINGLE)
    jobs = [job for batch in prepared for job in batch.programs()]
    together = host_seconds(lambda: gram.evaluate(jobs, SINGLE))
    one_by_one = host_seconds(lambda: [_alone(job) for job in jobs])
    return {
        "jobs": N_JOBS,
        "n": JOB_POINTS,
        "d": JOB_DIMENSIONS,
        "one launch, ms": together * 1e3,
        "a launch a job, ms": one_by_one * 1e3,
        "ratio": one_by_one / together,
    }


def _alone(job: Program) -> Floats:
    return gram.evaluate([job], SINGLE)[0]


if __name__ == "__main__":
    main()
