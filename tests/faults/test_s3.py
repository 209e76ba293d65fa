"""The whole service on an S3-compatible store."""

import os
import signal
import subprocess
import sys
import time

import httpx2
import numpy as np
import pytest

import mercer
from deploy.local import LocalService
from mercer.errors import JobFailed
from mercer.kernels import Gaussian
from store.bucket import Location
from store.cache import Cache
from store.s3 import S3Objects
from tests.faults.jobs import long, points
from tests.s3_server import BUCKET, FaultyS3, environment

PREFIX = "team/mercer"
URL = f"s3://{BUCKET}/{PREFIX}"
SETTINGS = {"MERCER_STORE_URL": URL, "MERCER_LEASE_S": "1", "MERCER_DEVICE": "cpu"}


@pytest.fixture(scope="module")
def store(s3_server):
    """What is between the service and its store."""
    with FaultyS3(s3_server.port) as store:
        yield store


@pytest.fixture
def faults(store):
    yield store.faults
    store.mend()


@pytest.fixture(scope="module")
def service(tmp_path_factory, store):
    folder = tmp_path_factory.mktemp("service")
    with LocalService(folder, environment=SETTINGS | store.environment, logs=folder / "logs") as service:
        yield service


@pytest.fixture
def client(service):
    with mercer.Client(service.url) as client:
        yield client


@pytest.fixture
def objects(s3_server, monkeypatch, tmp_path):
    for name, value in s3_server.environment.items():
        monkeypatch.setenv(name, value)
    return S3Objects(Location.of(URL), Cache(tmp_path, 0))


def test_data_sets_and_results_go_through_the_bucket_and_nowhere_else(service, client, objects):
    array = points(700, 3)
    uploaded = client.datasets.upload(array)
    job = client.submit(mercer.Gram(kernel=Gaussian(), x=uploaded.select(rows=slice(10, 410), columns=[2, 0])))
    matrix = job.result(100)
    chosen = array[10:410][:, [2, 0]]
    expected = np.exp(-((chosen[:, None] - chosen[None]) ** 2).sum(axis=2) / 2)
    np.testing.assert_allclose(matrix, expected, rtol=1e-12)
    keys = {entry.key for entry in objects.keys("")}
    assert f"datasets/{uploaded.digest[7:]}.npy" in keys
    assert any(key.startswith("results/") for key in keys)
    assert not (service.data_dir / "datasets").exists()
    assert not (service.data_dir / "results").exists()
    assert (service.data_dir / "cache" / "datasets" / f"{uploaded.digest[7:]}.npy").exists()


def test_a_table_is_converted_on_its_way_into_the_bucket(client, tmp_path):
    path = tmp_path / "table.csv"
    path.write_text("a,b\n1,2\n3,4.5\n")
    uploaded = client.datasets.upload(path)
    job = client.submit(mercer.Gram(kernel=mercer.kernels.Linear(), x=uploaded.select(columns=["b"])))
    np.testing.assert_array_equal(job.result(100), [[4, 9], [9, 20.25]])


def test_a_range_of_a_result_is_read_from_the_bucket(service, client):
    job = client.submit(long(1_500))
    job.wait(100)
    url = f"{service.url}/v1/jobs/{job.id}/result"
    with httpx2.Client(trust_env=False) as http:
        whole = http.get(url, headers={"accept": "application/x-npy"}).content
        part = http.get(url, headers={"accept": "application/x-npy", "range": "bytes=1000-2000999"})
    assert (part.status_code, part.content) == (206, whole[1_000:2_001_000])


def test_a_batch_file_goes_through_the_bucket(client, objects):
    specs = [(f"job-{n}", mercer.Gram(kernel=Gaussian(lengthscale=1.0 + n), x=points(40, 2))) for n in range(30)]
    batch = client.batch(specs)
    batch.wait(100)
    assert batch.refresh().counts.succeeded == 30
    assert not list(objects.keys("batches/"))


def test_a_worker_killed_while_it_sends_a_result_leaves_nothing_and_the_job_runs_again(
    service, client, store, faults, objects, s3_server, monkeypatch
):
    before = {entry.key for entry in objects.keys("results/")}
    store.seen.clear()
    faults.delay_s = 0.2
    job = client.submit(long(3_000))
    until = time.monotonic() + 60
    while not any("partNumber=2" in line for line in store.seen):
        assert time.monotonic() < until
        time.sleep(0.005)
    pid = service.pids["worker-1"]
    os.kill(pid, signal.SIGKILL)
    assert {entry.key for entry in objects.keys("results/")} == before
    faults.delay_s = 0.0
    np.testing.assert_allclose(np.diag(job.result(100)), 16.0, rtol=1e-6)
    assert job.refresh().attempt == 2
    assert len({entry.key for entry in objects.keys("results/")} - before) == 1
    monkeypatch.setattr("store.s3.ABANDONED_S", -60)
    left = s3_server.client().list_multipart_uploads(Bucket=BUCKET, Prefix=PREFIX)["Uploads"]
    assert len(left) == 1
    objects.clear_abandoned()
    assert "Uploads" not in s3_server.client().list_multipart_uploads(Bucket=BUCKET, Prefix=PREFIX)


def test_while_the_store_refuses_the_reason_is_told_and_work_goes_on_afterwards(service, client, faults):
    faults.refuse = lambda request: (403, "AccessDenied") if request.command in ("PUT", "POST") else None
    reason = f"The S3 store denies access to the bucket {BUCKET} (AccessDenied)."
    with httpx2.Client(trust_env=False) as http:
        ready = http.get(f"{service.url}/readyz")
    assert (ready.status_code, ready.json()["detail"]) == (503, reason)
    job = client.submit(mercer.Gram(kernel=Gaussian(), x=points(300, 3)))
    with pytest.raises(JobFailed, match="denies access"):
        job.result(100)
    with pytest.raises(mercer.errors.Unavailable, match="denies access"):
        client.datasets.upload(points(5, 5))
    faults.refuse = lambda request: None
    job.retry()
    assert job.result(100).shape == (300, 300)


@pytest.mark.parametrize(
    ("settings", "code", "reason"),
    [
        ({"MERCER_STORE_URL": "http://bucket"}, 2, "MERCER_STORE_URL: String should match pattern"),
        (environment(1) | SETTINGS, 1, "The S3 store does not answer (EndpointConnectionError)."),
    ],
)
def test_a_store_that_cannot_be_used_is_told_at_the_start(tmp_path, valkey_url, settings, code, reason):
    variables = os.environ | {"MERCER_REDIS_URL": valkey_url, "MERCER_DATA_DIR": str(tmp_path)} | settings
    done = subprocess.run([sys.executable, "-m", "service"], env=variables, capture_output=True, text=True, check=False)
    assert (done.returncode, reason in done.stderr) == (code, True), done.stderr
