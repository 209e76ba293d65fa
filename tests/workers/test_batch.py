"""From claimed jobs to their outcomes, on a real store."""

import json

import numpy as np
import pytest

from gpu.task import Cancelled
from mercer.arrays import from_npy
from mercer.jobs import State, Timings
from mercer.tenants import DEFAULT_TENANT
from tests.workers.jobs import claimed, gram, points, unfit, upload
from workers.batch import Batch
from workers.watch import LeaseLost, Watch


def outcomes(bench, jobs, watch=None, report=lambda job_id: lambda fraction: None):
    """By job, in the order of the jobs."""
    done = {job.id: job for job in Batch(bench, watch or Watch("lease"), report).run(jobs)}
    assert len(done) == len(jobs)
    return [done[job.id] for job in jobs]


def states(done):
    return [job.state for job in done]


def stored_files(tmp_path):
    return [path for path in tmp_path.rglob("*") if path.is_file() and "datasets" not in path.parts]


def value_of(bench, job):
    result = json.loads(job.result)
    if "value" in result:
        return np.array(result["value"])
    return from_npy(b"".join(bench.results.read(result["object"], result["offset"], result["length"])))


def gaussian(x):
    return np.exp(-((x[:, None] - x[None]) ** 2).sum(-1) / 2)


@pytest.mark.parametrize("n", [3, 50, 600])
def test_a_job_gives_its_matrix(bench, n):
    (job,) = outcomes(bench, [claimed(gram(n))])
    assert job.state == State.SUCCEEDED
    np.testing.assert_allclose(value_of(bench, job), gaussian(points(n, 1)), rtol=1e-12)


def test_the_large_results_of_a_batch_share_one_object(bench, tmp_path):
    done = outcomes(bench, [claimed(gram(n)) for n in (40, 41, 42)])
    assert states(done) == [State.SUCCEEDED] * 3
    assert {job.batch_size for job in done} == {3}
    assert len(stored_files(tmp_path)) == 1


def test_small_results_touch_no_disk(bench, tmp_path):
    outcomes(bench, [claimed(gram(n)) for n in (2, 3, 4)])
    assert stored_files(tmp_path) == []


def test_a_job_that_raises_fails_alone_and_leaks_nothing(bench, caplog):
    done = outcomes(bench, [claimed(gram(n)) for n in (2, 3, 4)] + [claimed(unfit())] + [claimed(gram(5))])
    assert states(done) == [State.SUCCEEDED] * 3 + [State.FAILED, State.SUCCEEDED]
    problem = json.loads(done[3].error)
    assert problem["type"] == "urn:mercer:problem:job-failed"
    assert done[3].id in problem["detail"]
    assert "Traceback" not in problem["detail"]
    assert done[3].id in caplog.text


def test_a_spec_of_another_version_fails_alone(bench):
    done = outcomes(bench, [claimed(gram(2)), claimed(b'{"kind": "gram", "shape": "new"}')])
    assert states(done) == [State.SUCCEEDED, State.FAILED]
    assert "different versions" in json.loads(done[1].error)["detail"]


def test_a_job_whose_data_set_was_deleted_fails_alone(bench):
    kept, gone = upload(bench.shelves.datasets, points(20)), upload(bench.shelves.datasets, points(20, seed=1))
    bench.shelves.datasets.delete(gone.dataset)
    done = outcomes(bench, [claimed(gram(x=kept)), claimed(gram(x=gone))])
    assert states(done) == [State.SUCCEEDED, State.FAILED]
    assert json.loads(done[1].error)["type"] == "urn:mercer:problem:unknown-dataset"


def test_a_job_reads_its_data_set(bench):
    x = points(20)
    (job,) = outcomes(bench, [claimed(gram(x=upload(bench.shelves.datasets, x)))])
    np.testing.assert_allclose(value_of(bench, job), gaussian(x), rtol=1e-12)


def test_a_job_that_was_cancelled_before_it_ran_does_not_run(bench):
    jobs = [claimed(gram(2)), claimed(unfit())]
    watch = Watch("lease")
    watch.cancelled = frozenset([jobs[1].id])
    assert states(outcomes(bench, jobs, watch)) == [State.SUCCEEDED, State.CANCELLED]


def test_a_job_that_is_cancelled_while_it_runs_stops_and_the_others_go_on(bench, tmp_path):
    jobs = [claimed(gram(1_000)), claimed(gram(990))]
    watch = Watch("lease")

    def report(job_id):
        def stop(fraction):
            if job_id == jobs[1].id:
                watch.cancelled |= {job_id}
                raise Cancelled

        return stop

    done = outcomes(bench, jobs, watch, report)
    assert states(done) == [State.SUCCEEDED, State.CANCELLED]
    assert len(stored_files(tmp_path)) == 1


def test_a_batch_that_is_abandoned_leaves_nothing_in_the_store(bench, tmp_path):
    def report(job_id):
        def stop(fraction):
            raise LeaseLost

        return stop

    with pytest.raises(LeaseLost):
        outcomes(bench, [claimed(gram(1_000))], report=report)
    assert stored_files(tmp_path) == []


@pytest.mark.parametrize("spec", [gram(2), unfit()], ids=["succeeded", "failed"])
def test_every_outcome_says_where_the_time_went(bench, spec):
    (job,) = outcomes(bench, [claimed(spec)])
    timings = Timings(queued_ms=0.0, **job.timings)
    assert timings.compute_ms >= 0
    assert timings.transfer_ms > 0


def test_out_of_memory_names_the_bytes_of_the_data_set_too(bench):
    spec = gram(x=upload(bench.shelves.datasets, points(300)))
    batch = Batch(bench, Watch("lease"), lambda job_id: lambda fraction: None)
    cost_bytes = batch._loader.needed_bytes(spec, DEFAULT_TENANT)
    assert cost_bytes > 300 * 300 * 8


def test_a_job_reads_the_data_sets_of_its_own_tenant_alone(bench):
    spec = gram(x=upload(bench.shelves.datasets.of("acme"), points(30)))
    theirs, foreign = outcomes(bench, [claimed(spec, tenant="acme"), claimed(spec)])
    assert (theirs.state, foreign.state) == (State.SUCCEEDED, State.FAILED)
    assert "unknown-dataset" in foreign.error.decode()


def test_results_of_several_tenants_in_one_launch_lie_apart(bench):
    specs = [claimed(gram(60), tenant="acme"), claimed(gram(60))]
    places = [json.loads(job.result)["object"] for job in outcomes(bench, specs)]
    assert [place.partition("results/")[0] for place in places] == ["tenants/acme/", ""]
