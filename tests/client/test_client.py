import numpy as np
import pytest

import mercer
from mercer import errors
from mercer import kernels as k
from mercer.specs import KINDS
from tests.client.conftest import gaussian


def test_a_matrix_comes_back(client, points, gram):
    matrix = client.submit(gram(2.0)).result()
    np.testing.assert_allclose(matrix, gaussian(points, 2.0), rtol=1e-12)
    assert matrix.flags.writeable


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("n", [3, 40, 500], ids=["inline", "small", "large"])
def test_results_of_every_size_come_back_in_their_type(client, n, dtype):
    x = np.random.default_rng(n).normal(size=(n, 2))
    matrix = client.run(mercer.Gram(kernel=k.Gaussian(), x=x, dtype=dtype))
    assert (matrix.shape, matrix.dtype) == ((n, n), np.dtype(dtype))
    np.testing.assert_allclose(matrix, gaussian(x), rtol=1e-5 if dtype == "float32" else 1e-12)


def test_an_expression_travels_whole(client, points):
    kernel = 0.7 * k.Matern(nu=2.5, lengthscale=[1.0, 2.0, 0.5]) + k.White(0.01)
    matrix = client.run(mercer.Gram(kernel=kernel, x=points, y=points[:5] + 1.0))
    assert matrix.shape == (20, 5)
    assert client.run(mercer.Gram(kernel=kernel, x=points))[0, 0] == pytest.approx(0.71)


def test_the_second_result_is_the_same_array(client, gram):
    job = client.submit(gram())
    assert job.result() is job.result()


def test_a_small_job_is_two_round_trips_and_run_is_one(faulty, gram):
    client, network = faulty()
    spec = gram(x=np.ones((4, 2)))
    client.submit(spec).result()
    assert network.methods == ["POST", "GET"]
    client.run(spec)
    assert network.methods == ["POST", "GET", "POST"]


def test_many_jobs_take_few_round_trips_and_are_already_here(faulty, points, gram):
    client, network = faulty()
    scales = np.linspace(0.5, 2.0, 300).tolist()
    jobs = client.submit_many(gram(scale, x=np.tile(points, (2, 1))) for scale in scales)
    done = list(mercer.as_completed(jobs))
    trips = len(network.requests)
    assert {job.id for job in done} == {job.id for job in jobs}
    np.testing.assert_allclose(jobs[7].result()[:20, :20], gaussian(points, scales[7]), rtol=1e-12)
    assert len(network.requests) == trips < 60


def test_jobs_that_were_done_before_are_completed_too(client, gram):
    job = client.submit(gram())
    job.wait()
    assert list(mercer.as_completed([job, job])) == [job]


def test_nothing_is_completed_of_nothing():
    assert list(mercer.as_completed([])) == []


def test_completion_takes_a_failed_job_as_any_other(client, gram, paused_worker):
    with paused_worker():
        job = client.submit(gram())
        job.cancel()
        (done,) = mercer.as_completed([job])
    with pytest.raises(errors.JobCancelled):
        done.result()


def test_waiting_ends_when_the_caller_says_and_the_job_goes_on(client, gram, paused_worker):
    with paused_worker():
        job = client.submit(gram())
        with pytest.raises(errors.WaitTimeout, match=f"{job.id} is still queued after 0.1 s"):
            job.result(timeout_s=0.1)
        with pytest.raises(errors.WaitTimeout, match="1 jobs are still"):
            next(mercer.as_completed([job], timeout_s=0.1))
    assert job.result().shape == (20, 20)


def test_a_cancelled_job_says_so(client, gram, paused_worker):
    with paused_worker():
        job = client.submit(gram())
        assert job.cancel().state == "cancelled"
    with pytest.raises(errors.JobCancelled, match=job.id):
        job.result()


def test_a_job_expires_on_time_though_no_worker_looks(client, gram, paused_worker):
    with paused_worker():
        job = client.submit(gram(), cancel_after="1s")
        (several,) = client.submit_many([gram()], cancel_after="1s")
        with pytest.raises(errors.JobExpired, match="before it was started"):
            job.result(timeout_s=10)
        assert several.wait(timeout_s=10).state == "expired"
    for record in (job.record, several.record):
        assert (record.expires_at - record.created_at).total_seconds() == 1
        assert 0 <= (record.finished_at - record.expires_at).total_seconds() < 0.5


def test_a_higher_priority_is_done_first(client, gram, paused_worker):
    with paused_worker():
        low = client.submit(gram(), priority="low")
        high = client.submit_many([gram()], priority=mercer.Priority.HIGH)
        batch = client.batch([("a", gram())], priority="normal")
        assert (low.record.priority, high[0].record.priority, batch.record.priority) == ("low", "high", "normal")
    assert high[0].wait().started_at <= low.wait().started_at


def test_a_deadline_that_cannot_be_read_is_refused(client, gram):
    with pytest.raises(errors.InvalidRequest, match="such as 30s, 10m or 2h"):
        client.submit(gram(), cancel_after="soon")


def test_a_cancelled_job_can_be_tried_again(client, gram, paused_worker):
    with paused_worker():
        job = client.submit(gram())
        job.cancel()
        assert job.retry().state == "queued"
    assert job.result().shape == (20, 20)


def test_a_failed_job_says_why(client, paused_worker):
    x = np.random.default_rng(9).normal(size=(999, 2))
    with paused_worker():
        job = client.submit(mercer.Gram(kernel=k.Gaussian(), x=x))
        client.datasets.delete(job_dataset(client, x))
    with pytest.raises(errors.JobFailed, match="data set.*" + job.id):
        job.result()
    assert job.state == "failed"


def job_dataset(client, x):
    return next(one.digest for one in client.datasets.list() if one.shape == x.shape)


def test_ctrl_c_leaves_the_job_and_names_it(client, gram, paused_worker):
    def interrupt(phase, fraction):
        raise KeyboardInterrupt

    with paused_worker():
        job = client.submit(gram())
        with pytest.raises(KeyboardInterrupt) as interrupted:
            job.result(progress=interrupt)
    assert job.id in interrupted.value.__notes__[0]
    assert client.job(job.id).result().shape == (20, 20)


def test_progress_is_told(client, gram):
    told = []
    client.submit(gram(x=np.random.default_rng(1).normal(size=(600, 2)))).result(
        progress=lambda phase, fraction: told.append((phase, fraction))
    )
    assert ("succeeded", 1.0) in told
    assert told[-1] == ("fetching", 1.0)


def test_events_end_with_the_job(client, gram):
    events = list(client.submit(gram()).events())
    assert events[-1].job.state == "succeeded"


def test_the_same_key_is_the_same_job(client, gram):
    first = client.submit(gram(), idempotency_key="a-key-of-mine")
    assert client.submit(gram(), idempotency_key="a-key-of-mine").id == first.id
    with pytest.raises(errors.IdempotencyConflict):
        client.submit(gram(3.0), idempotency_key="a-key-of-mine")


def test_a_bad_spec_is_refused_with_its_fields(client, gram):
    bad = gram(kernel=k.Gaussian(lengthscale=[1.0, 2.0]))
    with pytest.raises(errors.InvalidSpec) as caught:
        client.submit(bad)
    assert caught.value.errors[0].pointer.startswith("/kernel")
    with pytest.raises(errors.InvalidSpec) as caught:
        client.submit_many([gram(), bad])
    assert caught.value.errors[0].pointer.startswith("/jobs/1/kernel")


def test_an_unknown_job_is_named(client):
    with pytest.raises(errors.UnknownJob, match="job_nobody"):
        client.job("job_nobody")


def test_jobs_are_listed_newest_first_and_by_state(client, gram):
    jobs = client.submit_many([gram(), gram(2.0)])
    for job in mercer.as_completed(jobs):
        assert job.done
    assert {job.id for job in client.jobs(limit=2)} == {job.id for job in jobs}
    assert all(job.state == "succeeded" for job in client.jobs("succeeded", limit=150))


def test_the_service_describes_itself(client):
    assert [kind["kind"] for kind in client.kinds()["kinds"]] == list(KINDS)
    assert {kernel["family"] for kernel in client.kernels()["kernels"]} == set(k.FUNCTIONS)


def test_a_result_is_saved_to_a_file(client, gram, points, tmp_path):
    path = client.submit(gram()).save(tmp_path / "K.npy")
    np.testing.assert_allclose(np.load(path), gaussian(points), rtol=1e-12)
    assert [file.name for file in tmp_path.iterdir()] == ["K.npy"]


def test_the_address_is_an_argument_or_the_environment(monkeypatch):
    monkeypatch.delenv("MERCER_URL", raising=False)
    assert mercer.Client().url == "http://127.0.0.1:8000"
    monkeypatch.setenv("MERCER_URL", "http://elsewhere:1/")
    assert mercer.Client().url == "http://elsewhere:1"
    assert mercer.Client("https://here").url == "https://here"
    with pytest.raises(ValueError, match="http://"):
        mercer.Client("localhost:8000")
