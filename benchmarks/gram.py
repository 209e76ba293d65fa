"""Gram matrices on the CPU against scikit-learn: `python -m benchmarks.gram [--rounds 5] [--save]`.

Ours and the peer take turns in one run, and the best round of each counts. `blocks` is what a worker does: it reads
the matrix by panels from the memory that it keeps; `array` is a new matrix in memory, as scikit-learn makes it. The
share is of the time that the machine takes for the parts alone, one after another: the sums at the speed of BLAS, the
exponentials at NumPy's speed in the cache, the writing. Above 1, doing them at once saved more than was lost.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.gaussian_process.kernels import Matern
from sklearn.metrics.pairwise import laplacian_kernel, rbf_kernel

from benchmarks.report import save, table
from gpu.device import Device
from gpu.leaves import Floats
from gpu.ops import gram
from gpu.task import Task
from gpu.warm import load
from mercer import kernels as k
from mercer.specs.gram import Gram

N_POINTS = 4_000
N_CHECKED = 100
"""Rows that are compared with the formula in float64."""
N_JOBS, JOB_POINTS, JOB_DIMENSIONS, JOB_GAMMA = 1_000, 50, 8, 0.1
DTYPES = ("float32", "float64")


@dataclass(frozen=True)
class Case:
    """A kernel function, ours and scikit-learn's."""

    name: str
    d: int
    kernel: k.KernelFunction
    peer: Callable[[Floats, Floats | None], Floats]
    own: bool = False
    """Whether it is K(x, x), the Gram matrix of one set of points, of which half is computed."""


def _gaussian(d: int, *, own: bool) -> Case:
    name = f"gaussian d={d}" + ", K(x, x)" * own
    return Case(name, d, k.Gaussian(gamma=1 / d), lambda x, y: rbf_kernel(x, y, gamma=1 / d), own)


CASES = (
    *(_gaussian(d, own=own) for d in (3, 16, 64, 784) for own in (False, True)),
    Case("laplacian_l1 d=16", 16, k.LaplacianL1(gamma=1 / 16), lambda x, y: laplacian_kernel(x, y, gamma=1 / 16)),
    Case("matern 5/2 d=16", 16, k.Matern(nu=2.5, lengthscale=4.0), lambda x, y: Matern(4.0, nu=2.5)(x, y)),
    Case("matern 3.7 d=16", 16, k.Matern(nu=3.7, lengthscale=4.0), lambda x, y: Matern(4.0, nu=3.7)(x, y)),
)


@dataclass
class Times:
    """The best round so far."""

    wall_s: float = float("inf")
    cpu_s: float = float("inf")

    def measure(self, action: Callable[[], object]) -> None:
        """Run it once more."""
        wall, cpu = time.perf_counter(), time.process_time()
        action()
        self.wall_s = min(self.wall_s, time.perf_counter() - wall)
        self.cpu_s = min(self.cpu_s, time.process_time() - cpu)


def in_turn(actions: Sequence[Callable[[], object]], rounds: int) -> list[Times]:
    """The best of some rounds of each, one after another in every round."""
    times = [Times() for _ in actions]
    for _ in range(rounds):
        for own, action in zip(times, actions, strict=True):
            own.measure(action)
    return times


def main() -> None:
    """Measures, prints, and with --save keeps the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--only", default="", help="cases whose name begins so")
    parser.add_argument("--save", action="store_true", help="keep the figures in benchmarks/results/")
    arguments = parser.parse_args()
    device = Device("cpu")
    load(device)  # not warm(): its memory settings would speed the peers up too
    limits = {dtype: machine_limits(np.dtype(dtype), device) for dtype in DTYPES}
    print(table(["limits", *limits["float32"]], [[dtype, *own.values()] for dtype, own in limits.items()]), "\n")
    cases = [case for case in CASES if case.name.startswith(arguments.only)]
    builds = [build(case, dtype, limits[dtype], device, arguments.rounds) for case in cases for dtype in DTYPES]
    print(table(list(builds[0]), [list(one.values()) for one in builds]), "\n")
    batches = [batch(dtype, device, arguments.rounds) for dtype in DTYPES]
    print(table(list(batches[0]), [list(one.values()) for one in batches]))
    if arguments.save:
        print(save("gram", {"limits": limits, "builds": builds, "batches": batches}))


def build(case: Case, dtype: str, limits: dict[str, float], device: Device, rounds: int) -> dict[str, Any]:
    """One matrix of 4,000 x 4,000."""
    random = np.random.default_rng(1)
    x, other = (random.normal(size=(N_POINTS, case.d)).astype(dtype) for _ in range(2))
    y = None if case.own else other
    spec = Gram(kernel=case.kernel, x=x, y=y, dtype=dtype)
    arrays = {"x": x} if y is None else {"x": x, "y": y}

    def blocks() -> None:
        for _ in gram.run([Task(spec, arrays)], device)[0].blocks:
            pass

    def array() -> Floats:
        return gram.run([Task(spec, arrays)], device)[0].array()

    def peer() -> Floats:
        return case.peer(x, y)

    ours, kept, theirs = in_turn([blocks, array, peer], rounds)
    exact = gram.reference(spec, {"x": x[:N_CHECKED], "y": x if y is None else y})
    entries = N_POINTS**2
    floor_s = (
        2 * case.d * entries / limits["GEMM flop/s"]
        + entries / limits["exp/s"]
        + entries * x.itemsize / limits["write B/s"]
    )
    return {
        "case": case.name,
        "dtype": dtype,
        "blocks ms": ours.wall_s * 1e3,
        "array ms": kept.wall_s * 1e3,
        "sklearn ms": theirs.wall_s * 1e3,
        "ratio": theirs.wall_s / ours.wall_s,
        "ratio array": theirs.wall_s / kept.wall_s,
        "ratio CPU": theirs.cpu_s / ours.cpu_s,
        "share": floor_s / ours.wall_s,
        "error": float(np.abs(array()[:N_CHECKED] - exact).max()),
        "sklearn error": float(np.abs(peer()[:N_CHECKED] - exact).max()),
    }


def batch(dtype: str, device: Device, rounds: int) -> dict[str, Any]:
    """Many small jobs in one call, against a loop."""
    random = np.random.default_rng(2)
    xs = [random.normal(size=(JOB_POINTS, JOB_DIMENSIONS)).astype(dtype) for _ in range(N_JOBS)]
    tasks = [Task(Gram(kernel=k.Gaussian(gamma=JOB_GAMMA), x=x, dtype=dtype), {"x": x}) for x in xs]
    ours, sklearn, numpy = in_turn(
        [
            lambda: gram.run(tasks, device),
            lambda: [rbf_kernel(x, gamma=JOB_GAMMA) for x in xs],
            lambda: [numpy_gaussian(x) for x in xs],
        ],
        2 * rounds,
    )
    return {
        "batch": f"{N_JOBS} of {JOB_POINTS} x {JOB_POINTS}, d={JOB_DIMENSIONS}",
        "dtype": dtype,
        "ours ms": ours.wall_s * 1e3,
        "sklearn ms": sklearn.wall_s * 1e3,
        "numpy ms": numpy.wall_s * 1e3,
        "ratio sklearn": sklearn.wall_s / ours.wall_s,
        "ratio numpy": numpy.wall_s / ours.wall_s,
        "CPU sklearn": sklearn.cpu_s / ours.cpu_s,
        "CPU numpy": numpy.cpu_s / ours.cpu_s,
    }


def numpy_gaussian(x: Floats) -> Floats:
    """The best that a few NumPy calls do for one small matrix."""
    z = x @ x.T
    norms = z.diagonal().copy()
    z *= 2
    z -= norms[:, None]
    z -= norms
    z *= JOB_GAMMA
    np.minimum(z, 0, out=z)
    return np.exp(z, out=z)


def machine_limits(dtype: np.dtype[Any], device: Device) -> dict[str, float]:
    """What all cores do together, each thing by itself."""
    a = np.ones((2_000, 1_000), dtype)
    matrix = np.empty((2_000, 2_000), dtype)
    tiles = [np.full(2**15, -1.0, dtype) for _ in range(device.n_threads)]
    halves = np.split(np.empty(2**24 * device.n_threads, dtype), device.n_threads)

    def exponentials(tile: Floats) -> None:
        target = np.empty_like(tile)
        for _ in range(200):
            np.exp(tile, out=target)

    gemm, exp, write = in_turn(
        [
            lambda: np.matmul(a, a[::-1].T, out=matrix),
            lambda: list(device.threads.map(exponentials, tiles)),
            lambda: list(device.threads.map(lambda half: half.fill(1), halves)),
        ],
        rounds=4,
    )
    return {
        "GEMM flop/s": 2 * 2_000**2 * 1_000 / gemm.wall_s,
        "exp/s": 200 * 2**15 * device.n_threads / exp.wall_s,
        "write B/s": sum(half.nbytes for half in halves) / write.wall_s,
    }


if __name__ == "__main__":
    main()
