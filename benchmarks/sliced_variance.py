"""Estimators of SW_2^2: `python -m benchmarks.sliced_variance [--replicates 300] [--only NAME] [--save]`.

Every method on every pair of real measures, at about 100 directions, over many seeds: the variance of plain Monte Carlo
with as many directions, divided by the method's. Then how often the 95 % interval holds the truth, and how often a job
with a tolerance comes within it and by how many directions. All by the operation that workers run. The truth is `auto`
with very many directions, or in d = 3 and 2 rules whose own error is far below what is measured.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import numpy as np

from benchmarks.clouds import Clouds, pairs
from benchmarks.report import save, table
from gpu.device import Device
from gpu.leaves import Floats
from gpu.ops import sliced_wasserstein as op
from gpu.task import Task
from mercer.estimates import SlicedWassersteinEstimate
from mercer.specs import SlicedWasserstein

N_PROJECTIONS = 100
BATCH = 50
"""Jobs of one call."""
N_TRUTH = 40_000
"""Directions of what counts as the truth; rules of so many have errors of rounding."""
METHODS: dict[str, dict[str, Any]] = {
    "LCV": {"method": "lcv"},
    "UCV": {"method": "ucv"},
    "LCV, intercept": {"method": "lcv", "intercept": True},
    "UCV, intercept": {"method": "ucv", "intercept": True},
    "centred": {"method": "centred"},
    "Gaussian control": {"method": "gaussian_cv"},
    "harmonics": {"method": "spherical_harmonics"},
    "orthogonal": {"method": "orthogonal"},
    "spiral": {"method": "spiral"},
    "Lebedev": {"method": "lebedev"},
    "equispaced": {"method": "equispaced"},
    "auto": {"method": "auto"},
}
REFERENCE: dict[str, tuple[float, float]] = {
    "airplane-ant": (1.00, 1.1), "bunny-mirrored": (1.15, 1.4), "image 0-8": (2.0, 1.9),
    "image 0-1": (4.4, 3.0),
    "iris 0-1": (1069, 30), "iris 1-2": (552, 6.7), "wine 0-1": (141, 19), "breast cancer": (113, 11),
    "digits 0-1": (73, 39), "digits 3-8": (251, 7.9),
}  # fmt: skip
"""LCV's and UCV's of an independent implementation, on pairs made in the same way."""
COVERAGE: tuple[tuple[str, dict[str, Any]], ...] = (
    ("airplane-ant", {"method": "mc"}),
    ("airplane-ant", {"method": "ucv", "n_projections": 300}),
    ("airplane-ant", {"method": "lebedev"}),
    ("airplane-ant", {"method": "lebedev", "n_projections": 400}),
    ("image 0-1", {"method": "equispaced"}),
    ("image 0-8, another", {"method": "equispaced", "n_projections": 400}),
    ("iris 0-1", {"method": "mc", "n_projections": 300}),
    ("iris 0-1", {"method": "gaussian_cv"}),
    ("iris 0-1", {"method": "orthogonal"}),
    ("iris 0-1", {"method": "auto"}),
    ("wine 0-1", {"method": "auto", "n_projections": 200}),
    ("wine 0-1", {"method": "lcv", "intercept": True}),
    ("breast cancer", {"method": "auto"}),
    ("digits 0-1", {"method": "auto"}),
    ("digits 3-8", {"method": "centred", "n_projections": 300}),
)
TOLERANCES: tuple[tuple[str, dict[str, Any]], ...] = (
    ("airplane-ant", {"method": "mc", "rel_tol": 0.1}),
    ("airplane-ant", {"rel_tol": 0.02}),
    ("airplane-ant", {"rel_tol": 0.002}),
    ("bunny-mirrored", {"rel_tol": 0.002}),
    ("image 0-1", {"rel_tol": 0.002}),
    ("iris 0-1", {"rel_tol": 0.002}),
    ("wine 0-1", {"rel_tol": 0.005}),
    ("digits 0-1", {"rel_tol": 0.005}),
)
N_COVERED, N_TOLERATED = 1_000, 200
CPU = Device("cpu")


class Found(NamedTuple):
    """A method on a pair."""

    name: str
    n_projections: int
    ratio: float
    """Var(Monte Carlo with as many directions) / Var(method)."""
    bias: float
    """Of the mean over all seeds, in its own standard errors."""


def estimates(clouds: Clouds, options: dict[str, Any], seeds: Sequence[int]) -> Iterator[SlicedWassersteinEstimate]:
    """One job for each seed."""
    for start in range(0, len(seeds), BATCH):
        tasks = [_task(clouds, options | {"seed": seed}) for seed in seeds[start : start + BATCH]]
        for answer in op.run(tasks, CPU):
            yield SlicedWasserstein.answer(answer.array(), answer.facts)


def _task(clouds: Clouds, options: dict[str, Any]) -> Task:
    weights = {name: given for name in ("x_weights", "y_weights") if (given := getattr(clouds, name)) is not None}
    spec = SlicedWasserstein(x=clouds.x, y=clouds.y, **weights, **options)
    return Task(spec, spec.arrays())


def truth(clouds: Clouds) -> float:
    """SW_2^2, by a seed that nothing else takes."""
    n = N_TRUTH if clouds.x.shape[1] > 3 else N_TRUTH // 8
    (found,) = estimates(clouds, {"n_projections": n}, [10**9])
    return found.power


def slice_variance(clouds: Clouds) -> float:
    """Of a single direction."""
    (found,) = estimates(clouds, {"method": "mc", "n_projections": N_TRUTH // 4, "per_slice": True}, [10**9])
    costs: Floats = found.costs if found.costs is not None else np.empty(0)
    return float(costs.var(ddof=1))


def fitting(d: int) -> dict[str, dict[str, Any]]:
    """The methods that are made for a dimension."""
    unfit = {"spiral": d != 3, "Lebedev": d != 3, "equispaced": d != 2, "harmonics": d > 4, "orthogonal": False}
    return {name: options for name, options in METHODS.items() if not unfit.get(name, False)}


def variances(name: str, clouds: Clouds, n_replicates: int) -> Iterator[Found]:
    """All methods on a pair."""
    of_slice, expected = slice_variance(clouds), truth(clouds)
    for method, options in fitting(clouds.x.shape[1]).items():
        several = list(estimates(clouds, {"n_projections": N_PROJECTIONS, **options}, range(n_replicates)))
        values = np.array([estimate.power for estimate in several])
        variance = float(values.var(ddof=1))
        bias = float(values.mean() - expected) / (variance / n_replicates) ** 0.5
        yield Found(method, several[0].n_projections, of_slice / several[0].n_projections / variance, bias)


def coverage(clouds: Clouds, options: dict[str, Any], n_runs: int) -> dict[str, Any]:
    """How often the interval holds the truth."""
    expected = truth(clouds)
    several = list(estimates(clouds, {"n_projections": N_PROJECTIONS, **options}, range(n_runs)))
    held = [found.power_interval[0] <= expected <= found.power_interval[1] for found in several if found.power_interval]
    return {"method": several[0].method, "n_projections": several[0].n_projections, "coverage": float(np.mean(held))}


def tolerated(clouds: Clouds, options: dict[str, Any], n_runs: int) -> dict[str, Any]:
    """How often the estimate is within its tolerance, and by how many directions."""
    expected = truth(clouds)
    several = list(estimates(clouds, options, range(n_runs)))
    within = [abs(found.power - expected) <= options["rel_tol"] * expected for found in several]
    taken = float(np.median([found.n_projections for found in several]))
    return {"method": several[0].method, "n_projections": taken, "within": float(np.mean(within))}


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--replicates", type=int, default=300)
    parser.add_argument("--only", choices=["variance", "coverage", "tolerance"])
    parser.add_argument("--save", action="store_true")
    arguments = parser.parse_args()
    measures, figures, began = pairs(), {}, time.process_time()
    if arguments.only in (None, "variance"):
        figures["variance"] = _variance_table(measures, arguments.replicates)
    if arguments.only in (None, "coverage"):
        figures["coverage"] = _listed("coverage", coverage, COVERAGE, measures, N_COVERED)
    if arguments.only in (None, "tolerance"):
        figures["tolerance"] = _listed("within", tolerated, TOLERANCES, measures, N_TOLERATED)
    print(f"\n{time.process_time() - began:.0f} s of CPU")
    if arguments.save:
        print(save("sliced_variance", figures))


def _variance_table(measures: dict[str, Clouds], n_replicates: int) -> dict[str, Any]:
    print(f"Var(Monte Carlo) / Var(method) of SW_2^2 at equal numbers of directions, {n_replicates} seeds\n")
    found = {name: list(variances(name, clouds, n_replicates)) for name, clouds in measures.items()}
    rows = []
    for method in METHODS:
        cells = {name: next((row.ratio for row in rows_ if row.name == method), "") for name, rows_ in found.items()}
        rows.append([method, *cells.values()])
        if method in ("LCV", "UCV"):
            rows.append(
                [
                    f"  reference {method}",
                    *(REFERENCE[name][method == "UCV"] if name in REFERENCE else "" for name in found),
                ]
            )
    print(table(["method", *found], rows))
    return {name: {row.name: row._asdict() for row in rows_} for name, rows_ in found.items()}


def _listed(what: str, measure: Any, cases: Any, measures: dict[str, Clouds], n_runs: int) -> list[dict[str, Any]]:
    print(f"\n{what} of {n_runs} runs\n")
    found = [{"pair": name, **options, **measure(measures[name], options, n_runs)} for name, options in cases]
    rows = [[row["pair"], row["method"], row.get("rel_tol", ""), row["n_projections"], row[what]] for row in found]
    print(table(["pair", "method", "rel_tol", "directions", what], rows))
    return found


if __name__ == "__main__":
    main()
