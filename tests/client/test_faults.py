import os
import signal
import threading

import numpy as np
import pytest

import mercer
from deploy.local import LocalService
from mercer import errors
from mercer import kernels as k
from tests.client.conftest import gaussian


def test_a_submission_whose_reply_was_lost_is_one_job(faulty, client, gram):
    before = {job.id for job in client.jobs()}
    fragile, network = faulty("lost", "away")
    job = fragile.submit(gram())
    assert network.methods == ["POST"] * 3
    assert {job.id for job in client.jobs()} - before == {job.id}


def test_a_bulk_submission_whose_reply_was_lost_is_the_same_jobs(faulty, client, gram):
    before = {job.id for job in client.jobs()}
    fragile, _ = faulty("lost")
    jobs = fragile.submit_many([gram(1.0), gram(2.0)])
    assert {job.id for job in client.jobs()} - before == {job.id for job in jobs}


@pytest.mark.parametrize("fault", ["away", "lost", 502, 503, 504])
def test_results_are_collected_through_faults(faulty, gram, points, fault):
    client, network = faulty()
    job = client.submit(gram())
    network.faults = [fault]
    np.testing.assert_allclose(job.result(), gaussian(points), rtol=1e-12)


def test_a_broken_download_is_resumed(faulty):
    client, network = faulty()
    x = np.random.default_rng(3).normal(size=(700, 2))
    job = client.submit(mercer.Gram(kernel=k.Gaussian(), x=x))
    job.wait()
    network.faults = ["cut", "cut"]
    np.testing.assert_allclose(job.result(), gaussian(x), rtol=1e-12)
    ranges = [request.headers.get("range") for request in network.requests[-3:]]
    assert ranges[0] is None
    assert all(one.startswith("bytes=") for one in ranges[1:])


def test_a_broken_save_is_resumed(faulty, tmp_path):
    client, network = faulty()
    x = np.random.default_rng(4).normal(size=(700, 2))
    job = client.submit(mercer.Gram(kernel=k.Gaussian(), x=x))
    job.wait()
    network.faults = ["cut", "cut"]
    np.testing.assert_allclose(np.load(job.save(tmp_path / "K.npy")), gaussian(x), rtol=1e-12)


def test_an_upload_that_met_a_fault_is_sent_again(faulty):
    client, _ = faulty(None, "lost")
    x = np.random.default_rng(5).normal(size=(600, 3))
    np.testing.assert_array_equal(client.datasets.get(client.datasets.upload(x).digest), x)


def test_events_go_on_after_a_lost_connection(faulty, gram):
    client, network = faulty()
    job = client.submit(gram())
    network.faults = ["cut", "away", 503]
    assert list(job.events())[-1].job.state == "succeeded"


def test_a_service_that_is_not_there_is_named():
    with (
        mercer.Client("http://127.0.0.1:9") as client,
        pytest.raises(errors.ConnectionFailed, match="http://127.0.0.1:9"),
    ):
        client.jobs()


def test_waiting_outlasts_a_restart_of_the_service(tmp_path, gram, points):
    with LocalService(tmp_path, logs=tmp_path / "logs") as service, mercer.Client(service.url) as client:
        worker = service.pids["worker-1"]
        os.killpg(worker, signal.SIGSTOP)
        jobs = client.submit_many([gram(1.0), gram(2.0)])
        results = []
        waiting = threading.Thread(target=lambda: results.extend(job.result() for job in mercer.as_completed(jobs)))
        waiting.start()
        os.kill(service.pids["service"], signal.SIGKILL)
        os.killpg(worker, signal.SIGCONT)
        waiting.join(timeout=60)
    assert sorted(matrix.sum() for matrix in results) == pytest.approx(
        [gaussian(points, 1.0).sum(), gaussian(points, 2.0).sum()]
    )
