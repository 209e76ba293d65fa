"""A job that is too large for the memory fails alone, and its process lives."""

import json
import multiprocessing
import re
import resource
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager

import numpy as np
import psutil
import pytest

from gpu.device import Device
from mercer.jobs import State
from store.datasets import Datasets
from store.local import LocalObjects
from store.private import PrivateDatasets
from store.releases import Releases
from store.results import Results
from tests.workers.jobs import claimed, finished, gram, submission, upload
from workers import memory
from workers.batch import Batch, Bench
from workers.loading import Shelves
from workers.watch import Watch

MB = 2**20


def large(bench):
    """A job whose points, which it copies, take 100 MB, and whose result takes 3."""
    return gram(x=upload(bench.shelves.datasets, np.zeros((400_000, 32))), diagonal_only=True)


@contextmanager
def at_most(more_bytes):
    """This process may take so much more memory inside the block."""
    kept = resource.getrlimit(resource.RLIMIT_DATA)
    data_bytes = psutil.Process().memory_info().data
    resource.setrlimit(resource.RLIMIT_DATA, (data_bytes + more_bytes, kept[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_DATA, kept)


def run(bench, *specs):
    done = Batch(bench, Watch("lease"), lambda job_id: lambda fraction: None).run([claimed(spec) for spec in specs])
    return [outcome.state for outcome in done]


async def test_a_job_that_is_too_large_fails_alone_and_says_what_it_needed_and_what_there_was(
    queue, start_worker, bench
):
    jobs = await queue.admit([submission(spec) for spec in (gram(3), large(bench), gram(4))])
    worker = start_worker(MERCER_WORKER_MEMORY_BYTES=str(170 * MB))
    (child,) = psutil.Process(worker.pid).children()
    records = await finished(queue, [job.id for job in jobs])
    assert [record.state for record in records] == [State.SUCCEEDED, State.FAILED, State.SUCCEEDED]
    problem = json.loads(records[1].error)
    needed, there_was = (int(number.replace(",", "")) for number in re.findall(r"\d[\d,]+", problem["detail"])[:2])
    assert problem["type"] == "urn:mercer:problem:out-of-memory"
    assert needed >= 400_000 * 32 * 8
    assert there_was == 170 * MB
    assert records[1].attempt == 1
    assert child.is_running()


def test_what_is_kept_of_earlier_jobs_is_given_to_one_that_needs_it(tmp_path):
    # In a process of its own: what other tests have freed would be there to take beyond the limit.
    with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as fresh:
        fresh.submit(keep_and_give, tmp_path).result()


def keep_and_give(folder):
    objects = LocalObjects(folder)
    bench = Bench(
        Shelves(Datasets(objects, 2**30), PrivateDatasets(objects, 2**30), Releases(objects)),
        Results(objects),
        Device("cpu"),
    )
    spec = large(bench)
    assert run(bench, spec) == [State.SUCCEEDED]
    with at_most(150 * MB):
        bench.device.buffers.take(120 * MB, np.dtype(np.uint8)).fill(1)
        assert run(bench, spec) == [State.SUCCEEDED]
    with at_most(50 * MB):
        assert run(bench, spec) == [State.FAILED]


def test_less_than_a_worker_takes_without_a_job_is_refused():
    with pytest.raises(ValueError, match=r"MERCER_WORKER_MEMORY_BYTES: expected more than the [\d,]+ .* got 4,096"):
        memory.limit(4_096)


def test_the_limit_is_that_of_the_nearest_cgroup_which_has_one(tmp_path):
    own, root = tmp_path / "own", tmp_path / "root"
    own.write_text("4:memory:/old\n0::/pods/one\n")
    assert memory.cgroup_limits(own, root) == []
    for folder, text in (("", None), ("pods", "2000\n"), ("pods/one", "max\n")):
        (root / folder).mkdir(parents=True, exist_ok=True)
        if text:
            (root / folder / "memory.max").write_text(text)
    assert memory.cgroup_limits(own, root) == [2000]
    assert memory.cgroup_limits(tmp_path / "no cgroups", root) == []


def test_without_a_setting_it_is_a_share_of_what_there_is():
    kept = resource.getrlimit(resource.RLIMIT_DATA)
    try:
        assert memory.limit(None) == int(0.9 * memory.available_bytes())
        assert resource.getrlimit(resource.RLIMIT_DATA)[0] >= memory.limit(None)
    finally:
        resource.setrlimit(resource.RLIMIT_DATA, kept)
    assert memory.available_bytes() <= psutil.virtual_memory().total
