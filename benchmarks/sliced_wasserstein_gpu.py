"""Sliced Wasserstein costs on a CUDA device: `python -m benchmarks.sliced_wasserstein_gpu [--save]`.

Time on the device for all directions of a pair, the projected atoms ("keys") that are sorted in a second, and the share
of what the device allows: the float32 comparisons of the sorting network, or the memory traffic of the radix sort.
"""

from __future__ import annotations

import argparse
from typing import Any, NamedTuple

import numpy as np

from benchmarks.on_device import device_name, device_seconds, host_seconds
from benchmarks.report import save, table
from gpu.cuda import sliced, sliced_large
from gpu.cuda.backend import CudaDevice
from gpu.cuda.sliced_large import Keys
from gpu.cuda.sliced_packing import Request, instance, mass, pack
from gpu.device import Device
from gpu.sliced import slices
from gpu.sliced.measures import Measure, pair

DTYPES = (np.dtype(np.float32), np.dtype(np.float64))
N_DIRECTIONS = 1000
N_JOBS, JOB_POINTS, JOB_DIRECTIONS = 1000, 100, 50
FORMS = ("equal masses", "n != m", "weighted")
"""What the measures are; n != m has a sixteenth less of y."""
COPY_BYTES = 2**30
RADIX_BYTES = {Keys.WITH_SLICE: 8 * 16 + 8, Keys.PLAIN: (8 * 32 + 8) + (8 * 16 + 8)}
"""Moved by the library's sorts for an atom: to count, and in a pass for each of eight bytes, to read and to write."""
COMPARISONS_PER_CLOCK = 64
"""Minima or maxima of float32 that a multiprocessor of compute capability 8.0 or 9.0 forms."""
CLOCK_KHZ, MULTIPROCESSORS = 13, 16
"""Of cudaDeviceAttr."""


class Case(NamedTuple):
    """Two measures of n points, and the time that is wanted for N_DIRECTIONS of them in float32 with equal masses."""

    n: int
    d: int
    target_ms: float


SMALL, LARGE = Case(2048, 3, 0.5), Case(100_000, 64, 20.0)


def main() -> None:
    """Measures, prints, and with --save keeps the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--save", action="store_true", help="keep the figures in benchmarks/results/")
    arguments = parser.parse_args()
    device = device_name()
    bandwidth = _copy_bandwidth()
    print(f"{device}: copies {bandwidth / 1e9:.0f} GB/s\n")
    pairs = [_pair(case, form, dtype, bandwidth) for case in (SMALL, LARGE) for form in FORMS for dtype in DTYPES]
    print(table(list(pairs[0]), [list(row.values()) for row in pairs]))
    batch = _batch()
    print("\n" + table(list(batch), [list(batch.values())]))
    if arguments.save:
        figures = {"copy_bytes_per_s": bandwidth, "pairs": pairs, "batch": batch}
        print(save("sliced_wasserstein_gpu", figures, device=device))


def _copy_bandwidth() -> float:
    """Bytes a second, read and written."""
    import cupy

    source = cupy.zeros(COPY_BYTES, np.uint8)
    to = cupy.empty_like(source)
    return 2 * COPY_BYTES / device_seconds(lambda: cupy.copyto(to, source))


def _request(n: int, d: int, form: str, dtype: np.dtype[Any], n_directions: int) -> Request:
    """Two normal clouds, the second moved and wider."""
    random = np.random.default_rng(0)
    m = n - n // 16 if form == "n != m" else n
    weights = [_weights(random, size) if form == "weighted" else None for size in (n, m)]
    x, y = Measure(random.normal(size=(n, d)), weights[0]), Measure(1.5 * random.normal(size=(m, d)) + 1, weights[1])
    directions = random.normal(size=(n_directions, d))
    return pair(x, y, 2, dtype), directions / np.linalg.norm(directions, axis=1, keepdims=True)


def _weights(random: np.random.Generator, n: int) -> np.ndarray[Any, Any]:
    drawn = random.uniform(0.5, 1.5, n)
    return drawn / drawn.sum()


def _pair(case: Case, form: str, dtype: np.dtype[Any], bandwidth: float) -> dict[str, Any]:
    """One pair, its points on the device already. The large one also copies directions and results."""
    given = _request(case.n, case.d, form, dtype, N_DIRECTIONS)
    small = case is SMALL
    seconds = (_small if small else _large)(given)
    keys = N_DIRECTIONS * (given[0].x.n + given[0].y.n)
    is_target = form == FORMS[0] and dtype == DTYPES[0]
    return {
        "n": case.n,
        "d": case.d,
        "measures": form,
        "dtype": dtype.name,
        "milliseconds": seconds * 1e3,
        "target": case.target_ms if is_target else "",
        "Gkeys/s": keys / seconds / 1e9,
        "share of the limit": keys / seconds / (_network_limit(case.n) if small else _radix_limit(given, bandwidth)),
        "differs from the CPU by": _error(given),
    }


def _small(given: Request) -> float:
    kernel, backend = instance(given[0]), CudaDevice()
    packed = pack([given], kernel)
    out = backend.empty(int(packed.outs[-1]), np.dtype(np.float64))
    buffers = [backend.put(part) for part in (packed.records, packed.points, packed.masses)]
    passed = (*buffers, np.int64(1), out)
    return device_seconds(
        lambda: backend.launch(sliced.FILE, kernel.expression, packed.n_blocks, kernel.n_threads, passed)
    )


def _large(given: Request) -> float:
    (made, directions), backend = given, CudaDevice()
    plan = sliced_large.Plan(made.dtype, mass(made), made.x.n, made.y.n)
    measures = sliced_large.put(made, plan, backend)
    if measures is None:
        raise SystemExit("the device has too little memory for the points")
    step, prepared = plan.slices(backend.free()), directions.astype(made.dtype)
    chunks = [prepared[start : start + step] for start in range(0, len(prepared), step)]
    return device_seconds(lambda: [sliced_large.compute(plan, measures, made.p, part, backend) for part in chunks])


def _network_limit(n: int) -> float:
    """Atoms a second through the comparisons of a bitonic network alone: one an atom and stage, in float32."""
    import cupy

    clock, count = (cupy.cuda.runtime.deviceGetAttribute(which, 0) for which in (CLOCK_KHZ, MULTIPROCESSORS))
    levels = (n - 1).bit_length()
    return float(clock * 1e3 * count * COMPARISONS_PER_CLOCK / (levels * (levels + 1) / 2))


def _radix_limit(given: Request, bandwidth: float) -> float:
    """Atoms a second through the sorts alone, at the speed of copying."""
    (made, _) = given
    return bandwidth / RADIX_BYTES[sliced_large.Plan(made.dtype, mass(made), made.x.n, made.y.n).keys]


def _error(given: Request) -> float:
    """The largest of some directions, relative."""
    few = slices.Slices(given[0], given[1][:4])
    (expected,) = slices.costs([few], Device("cpu"))
    return float(np.abs(sliced.costs([few])[0] / expected - 1).max())


def _batch() -> dict[str, Any]:
    """Small jobs, from host arrays to host arrays."""
    jobs = [_request(JOB_POINTS, 3, FORMS[0], DTYPES[0], JOB_DIRECTIONS) for _ in range(N_JOBS)]
    together = host_seconds(lambda: sliced.costs(jobs))
    one_by_one = host_seconds(lambda: [sliced.costs([job]) for job in jobs])
    return {
        "jobs": N_JOBS,
        "n": JOB_POINTS,
        "directions": JOB_DIRECTIONS,
        "one launch, ms": together * 1e3,
        "a launch a job, ms": one_by_one * 1e3,
        "ratio": one_by_one / together,
    }


if __name__ == "__main__":
    main()
