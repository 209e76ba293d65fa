"""What jobs on two measures take beyond their inputs, against what they said before."""

import importlib
import tracemalloc

import numpy as np
import pytest

from gpu.device import Device
from gpu.task import Task
from mercer.arrays import info_of
from mercer.specs import KINDS

JOBS = {
    "energy_based_sliced_wasserstein": {},
    "generalised_sliced_wasserstein": {"defining_function": "circular", "radius": 1.0},
    "max_sliced_wasserstein": {"n_starts": 4, "n_steps": 5},
    "sliced_wasserstein_test": {"n_permutations": 40},
}


def run(spec, device):
    importlib.import_module(f"gpu.ops.{spec.kind}").run([Task(spec, spec.arrays())], device)


def peak_bytes(spec, device):
    tracemalloc.start()
    try:
        run(spec, device)
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()


@pytest.mark.parametrize("kind", JOBS)
@pytest.mark.parametrize(
    ("n", "m", "d", "n_projections"), [(300, 200, 3, 50), (4_000, 3_000, 60, 20), (20, 30, 4, 5_000)]
)
def test_a_job_takes_no_more_than_it_says(kind, n, m, d, n_projections):
    random, device = np.random.default_rng(1), Device("cpu")
    x, y = random.normal(size=(n, d)), random.normal(size=(m, d))
    spec = KINDS[kind](x=x, y=y, n_projections=n_projections, **JOBS[kind])
    run(spec, device)  # what is compiled, imported and kept by the device stays
    assert peak_bytes(spec, device) <= spec.cost({"x": info_of(x), "y": info_of(y)}).peak_bytes
