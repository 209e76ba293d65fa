"""Sliced Wasserstein on the CPU against POT: `python -m benchmarks.sliced_wasserstein [--rounds 3] [--save]`.

Ours and POT take turns in one run on the same points and directions, and the best round of each counts. Ours includes
centring and scaling. The error is that of the worst slice, relative to POT in float64. Memory is what a fresh process
grows by at most. POT computes its own float64 whatever our dtype: its float32 has errors of 1e-3 at 100,000 points.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
import ot

from benchmarks.gram import in_turn
from benchmarks.report import save, table
from gpu.device import Device
from gpu.leaves import Floats
from gpu.ops import sliced_wasserstein_matrix
from gpu.sliced.directions import directions, stream
from gpu.sliced.measures import Measure, pair
from gpu.sliced.slices import Slices, costs
from gpu.task import Task
from gpu.warm import load
from mercer.specs import SlicedWassersteinMatrix

DTYPES = ("float32", "float64")
CLOUDS, CLOUD_POINTS, MATRIX_DIRECTIONS = 50, 2_048, 100
SAMPLED_PAIRS = 25
"""Of 1,225, for POT, whose time for all is reckoned from them."""
N_JOBS, JOB_POINTS, JOB_DIMENSIONS, JOB_DIRECTIONS = 1_000, 50, 8, 50
MEMORY_CASES = (("ours", 100_000, 3, 1_000), ("ours", 100_000, 64, 1_000), ("POT", 10_000, 3, 1_000))


@dataclass(frozen=True)
class Case:
    """Two measures."""

    name: str
    n: int
    m: int
    d: int
    n_directions: int
    weighted: bool
    target: float
    """POT's time over ours."""


CASES = (
    Case("equal n=1e3 d=3", 1_000, 1_000, 3, 1_000, False, 20),
    Case("equal n=1e3 d=64", 1_000, 1_000, 64, 1_000, False, 20),
    Case("equal n=1e3 d=784", 1_000, 1_000, 784, 1_000, False, 5),
    Case("equal n=1e4 d=3", 10_000, 10_000, 3, 1_000, False, 20),
    Case("equal n=1e4 d=64", 10_000, 10_000, 64, 1_000, False, 20),
    Case("equal n=1e4 d=784", 10_000, 10_000, 784, 1_000, False, 5),
    Case("equal n=1e5 d=3, 100 directions", 100_000, 100_000, 3, 100, False, 20),
    Case("equal n=1e5 d=64, 100 directions", 100_000, 100_000, 64, 100, False, 20),
    Case("unequal n=1e3 m=800 d=3", 1_000, 800, 3, 1_000, False, 8),
    Case("unequal n=1e4 m=7777 d=64, 200 directions", 10_000, 7_777, 64, 200, False, 8),
    Case("weighted n=1e3 m=800 d=3", 1_000, 800, 3, 1_000, True, 8),
    Case("weighted n=1e4 m=7777 d=3, 200 directions", 10_000, 7_777, 3, 200, True, 8),
)


def main() -> None:
    """Measures, prints, and with --save keeps the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", default="", help="cases whose name begins so")
    parser.add_argument("--save", action="store_true", help="keep the figures in benchmarks/results/")
    arguments = parser.parse_args()
    device = Device("cpu")
    load(device)
    figures: dict[str, Any] = {"pairs": [], "matrix": [], "batches": [], "memory": [memory(*c) for c in MEMORY_CASES]}
    show(figures["memory"])
    for case in CASES:
        if case.name.startswith(arguments.only):
            figures["pairs"] += compare(case, device, arguments.rounds)
    show(figures["pairs"])
    for dtype in DTYPES:
        figures["matrix"] += [matrix(dtype, sizes, device, arguments.rounds) for sizes in ("equal", "unequal")]
        figures["batches"].append(batch(dtype, device, arguments.rounds))
    show(figures["matrix"])
    show(figures["batches"])
    if arguments.save:
        print(save("sliced_wasserstein", figures))


def show(rows: list[dict[str, Any]]) -> None:
    """A table of figures with the same names."""
    if rows:
        print(table(list(rows[0]), [list(row.values()) for row in rows]), "\n")


def compare(case: Case, device: Device, rounds: int) -> list[dict[str, Any]]:
    """Every slice of two measures, by POT and by ours in both precisions."""
    random = np.random.default_rng(1)
    x, y = random.normal(size=(case.n, case.d)), random.normal(size=(case.m, case.d)) + 0.3
    a, b = (random.dirichlet(np.ones(n)) if case.weighted else None for n in (case.n, case.m))
    thetas = directions("mc", case.d, case.n_directions, stream(0)).rows
    made: dict[str, Floats] = {}

    def peer() -> None:
        answer = ot.sliced_wasserstein_distance(x, y, a, b, projections=thetas.T, log=True)
        made["pot"] = answer[1]["projected_emds"]

    def ours(dtype: str) -> None:
        prepared = pair(Measure(x, a), Measure(y, b), 2.0, np.dtype(dtype))
        (made[dtype],) = costs([Slices(prepared, thetas)], device)

    theirs, *own = in_turn([peer, *(partial(ours, dtype) for dtype in DTYPES)], rounds)
    return [
        {
            "case": case.name,
            "dtype": dtype,
            "ours ms": times.wall_s * 1e3,
            "POT ms": theirs.wall_s * 1e3,
            "ratio": theirs.wall_s / times.wall_s,
            "ratio CPU": theirs.cpu_s / times.cpu_s,
            "target": case.target,
            "error": float(np.abs(made[dtype] / made["pot"] - 1).max()),
        }
        for dtype, times in zip(DTYPES, own, strict=True)
    ]


def matrix(dtype: str, sizes: str, device: Device, rounds: int) -> dict[str, Any]:
    """All pairs of many clouds."""
    random = np.random.default_rng(2)
    points = [CLOUD_POINTS - (k if sizes == "unequal" else 0) for k in range(CLOUDS)]
    clouds = [random.normal(size=(n, 3)) * random.uniform(0.5, 1, 3) for n in points]
    spec = SlicedWassersteinMatrix.of(
        clouds, method="mc", n_projections=MATRIX_DIRECTIONS, quantity="cost", dtype=dtype
    )
    shared = sliced_wasserstein_matrix.directions_of(spec, 3)
    task = Task(spec, {"points": np.asarray(spec.points)})
    pairs = [random.choice(CLOUDS, 2, replace=False).tolist() for _ in range(SAMPLED_PAIRS)]
    made: dict[str, Any] = {}

    def ours() -> None:
        made["ours"] = sliced_wasserstein_matrix.run([task], device)[0].array()

    def peer() -> None:
        each = partial(ot.sliced_wasserstein_distance, projections=shared.rows.T)
        made["pot"] = [each(clouds[i], clouds[j]) ** 2 for i, j in pairs]

    own, theirs = in_turn([ours, peer], rounds)
    share = CLOUDS * (CLOUDS - 1) / 2 / SAMPLED_PAIRS
    return {
        "matrix": f"{CLOUDS} x {CLOUD_POINTS} points, {MATRIX_DIRECTIONS} directions, {sizes} sizes",
        "dtype": dtype,
        "ours ms": own.wall_s * 1e3,
        "POT ms": theirs.wall_s * share * 1e3,
        "ratio": theirs.wall_s * share / own.wall_s,
        "ratio CPU": theirs.cpu_s * share / own.cpu_s,
        "target": 100,
        "error": float(np.abs([made["ours"][i, j] for i, j in pairs] / np.array(made["pot"]) - 1).max()),
    }


def batch(dtype: str, device: Device, rounds: int) -> dict[str, Any]:
    """Many small pairs in one call, against a loop."""
    random = np.random.default_rng(3)
    clouds = random.normal(size=(N_JOBS, 2, JOB_POINTS, JOB_DIMENSIONS))
    thetas = directions("mc", JOB_DIMENSIONS, JOB_DIRECTIONS, stream(0)).rows

    def ours() -> None:
        made = [pair(Measure(x), Measure(y), 2.0, np.dtype(dtype)) for x, y in clouds]
        costs([Slices(one, thetas) for one in made], device)

    def peer() -> None:
        for x, y in clouds:
            ot.sliced_wasserstein_distance(x, y, projections=thetas.T)

    own, theirs = in_turn([ours, peer], rounds)
    return {
        "batch": f"{N_JOBS} of {JOB_POINTS} points, d={JOB_DIMENSIONS}, {JOB_DIRECTIONS} directions",
        "dtype": dtype,
        "ours ms": own.wall_s * 1e3,
        "POT ms": theirs.wall_s * 1e3,
        "ratio": theirs.wall_s / own.wall_s,
        "ratio CPU": theirs.cpu_s / own.cpu_s,
    }


def memory(who: str, n: int, d: int, n_directions: int) -> dict[str, Any]:
    """The growth of a fresh process beyond the two clouds and the directions."""
    with ProcessPoolExecutor(1, get_context("spawn")) as process:
        bytes_grown = process.submit(grown_bytes, who, n, d, n_directions).result()
    return {"memory": who, "n": n, "d": d, "directions": n_directions, "MiB beyond the input": bytes_grown / 2**20}


def grown_bytes(who: str, n: int, d: int, n_directions: int) -> int:
    """Run in a fresh process."""
    random, device = np.random.default_rng(4), Device("cpu")
    thetas = directions("mc", d, n_directions, stream(0)).rows

    def ours(x: Floats, y: Floats) -> None:
        costs([Slices(pair(Measure(x), Measure(y), 2.0, np.dtype(np.float64)), thetas)], device)

    def peer(x: Floats, y: Floats) -> None:
        ot.sliced_wasserstein_distance(x, y, projections=thetas.T)

    run: Callable[[Floats, Floats], None] = ours if who == "ours" else peer
    run(*random.normal(size=(2, 10, d)))  # what is loaded once does not count
    x, y = random.normal(size=(2, n, d))
    Path("/proc/self/clear_refs").write_text("5")  # forget the peak so far
    before = status_bytes("VmRSS")
    run(x, y)
    return status_bytes("VmHWM") - before


def status_bytes(name: str) -> int:
    """Of this process, as Linux tells it."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith(f"{name}:"))


if __name__ == "__main__":
    main()
