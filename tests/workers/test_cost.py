"""What a job is said to take before it runs, and what it takes."""

import multiprocessing
import re
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import pytest

from gpu.device import Device
from mercer.arrays import info_of
from mercer.jobs import State
from store.local import LocalObjects
from store.results import Results
from tests.workers.jobs import claimed, gram, points, shelves_of, upload
from workers.batch import Batch, Bench
from workers.watch import Watch

CLEAR_REFS = Path("/proc/self/clear_refs")


def resident(field):
    """VmRSS, what this process has in memory, or VmHWM, the most that it had since that was reset."""
    return int(re.search(rf"{field}:\s+(\d+) kB", Path("/proc/self/status").read_text())[1]) * 1024


def peak_over_estimate(folder, n, m, d, options):
    """Of a Gram job, run as a worker does, in a process that has run a like one before."""
    objects = LocalObjects(folder)
    bench = Bench(shelves_of(objects), Results(objects), Device("cpu"))

    def run(n, m):
        x, y = points(n, d), None if m is None else points(m, d, seed=1)
        arrays = {"x": x} if y is None else {"x": x, "y": y}
        spec = gram(**{name: upload(bench.shelves.datasets, array) for name, array in arrays.items()}, **options)
        del x, y
        before = resident("VmRSS")
        CLEAR_REFS.write_text("5")
        batch = Batch(bench, Watch("lease"), lambda job_id: lambda fraction: None)
        assert [done.state for done in batch.run([claimed(spec)])] == [State.SUCCEEDED]
        cost = spec.cost({name: info_of(array, minimum=False) for name, array in arrays.items()})
        return (resident("VmHWM") - before) / cost.peak_bytes

    run(600, None if m is None else 700)
    return run(n, m)


@pytest.fixture(scope="module")
def process():
    """Forked from one that has imported everything, as a worker's is."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload([__name__])
    with ProcessPoolExecutor(1, context, max_tasks_per_child=1) as executor:
        yield executor


@pytest.mark.skipif(not CLEAR_REFS.exists(), reason="needs /proc/self/clear_refs to reset the peak")
@pytest.mark.parametrize(
    ("n", "m", "d", "options"),
    [
        pytest.param(2_000, 2_500, 16, {}, id="dense"),
        pytest.param(2_500, None, 16, {"dtype": "float32"}, id="symmetric, float32"),
        pytest.param(6_000, None, 4, {"dtype": "float32"}, id="tiled"),
        pytest.param(2_500, None, 16, {"centre": True}, id="centred"),
        pytest.param(6_000, None, 4, {"centre": True, "dtype": "float32"}, id="centred, tiled, float32"),
        pytest.param(300_000, None, 32, {"diagonal_only": True}, id="diagonal"),
    ],
)
def test_a_job_takes_about_the_memory_that_was_estimated(process, tmp_path, n, m, d, options):
    assert 0.5 <= process.submit(peak_over_estimate, tmp_path, n, m, d, options).result() <= 2
