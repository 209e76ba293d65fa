"""The service over a real Valkey and a real store, reached through ASGI; a worker that the test itself drives."""

import hashlib
from base64 import b64encode

import httpx2
import numpy as np
import pytest
from pydantic_core import to_json

from broker.records import Finished
from broker.service_broker import ServiceBroker
from broker.worker_broker import WorkerBroker
from mercer.arrays import digest, header_bytes, to_npy
from mercer.specs import Gram
from service.app import create_app
from service.settings import Settings
from store.local import LocalObjects
from store.results import Results

SPEC = dict(Gram.examples[0])
TIMINGS = {"transfer_ms": 0.1, "compute_ms": 0.2}


@pytest.fixture
def settings(valkey_url, namespace, tmp_path):
    return Settings(
        redis_url=valkey_url,
        namespace=namespace,
        data_dir=tmp_path,
        max_queued=20,
        max_upload_bytes=4 * 2**20,
        max_job_bytes=2**30,
        max_result_bytes=2**27,
    )


@pytest.fixture
def objects(settings):
    return LocalObjects(settings.data_dir)


@pytest.fixture
def results(objects):
    return Results(objects)


@pytest.fixture
async def broker(settings):
    broker = ServiceBroker.connect(settings.redis_url, namespace=settings.namespace, max_queued=settings.max_queued)
    yield broker
    await broker.close()


@pytest.fixture
async def app(settings, broker, objects):
    app = create_app(settings, broker, objects)
    yield app
    await app.state.parts.admitter.close()
    await app.state.parts.sender.close()


@pytest.fixture
async def client(app):
    transport = httpx2.ASGITransport(app, raise_app_exceptions=False)
    async with httpx2.AsyncClient(transport=transport, base_url="http://testserver") as client:
        yield client


@pytest.fixture
def worker(settings, results):
    broker = WorkerBroker.connect(settings.redis_url, namespace=settings.namespace, linger_ms=0)
    yield FakeWorker(broker, results)
    broker.close()


class FakeWorker:
    """Takes jobs and ends them as the test says; computes nothing."""

    def __init__(self, broker, results):
        self.broker = broker
        self.results = results

    def claim(self):
        claim = self.broker.claim("tester", "cpu", max_jobs=64, max_bytes=2**40, block_ms=1000)
        assert claim is not None
        return claim

    def finish(self, array=None, *, inline=True, state="succeeded", error=None):
        """End every job of one claim in the same way."""
        array = np.eye(2) if array is None else array
        claim = self.claim()
        return self._finish(claim, [array] * len(claim.jobs), inline, state, error)

    def finish_claimed(self, claim):
        """End the jobs that it claimed before."""
        return self._finish(claim, [np.eye(2)] * len(claim.jobs), True, "succeeded", None)

    def finish_each(self, arrays):
        """End the jobs of one claim, in the order of submission, with an array each; all in one object."""
        return self._finish(self.claim(), arrays, False, "succeeded", None)

    def _finish(self, claim, arrays, inline, state, error):
        with self.results.batch("test") as stored:
            pairs = zip(claim.jobs, arrays, strict=True)
            finished = [self._finished(job, array, stored, inline, state, error) for job, array in pairs]
            stored.commit()
        return self.broker.finish(claim.lease, finished)

    def failed(self, job_id):
        return Finished(
            id=job_id, state="failed", error=b'{"detail": "no"}', device="cpu", batch_size=1, timings=TIMINGS
        )

    def succeeded(self, job_id):
        result = b'{"shape": [1], "dtype": "float64", "size_bytes": 136, "value": [1.0]}'
        return Finished(id=job_id, state="succeeded", result=result, device="cpu", batch_size=1, timings=TIMINGS)

    def _finished(self, job, array, stored, inline, state, error):
        result = None
        if state == "succeeded":
            size = len(header_bytes(array.shape, array.dtype)) + array.nbytes
            result = {"shape": array.shape, "dtype": array.dtype.name, "size_bytes": size, "facts": {"plan": "test"}}
            if inline:
                result["value"] = array.tolist()
            else:
                result |= stored.add(array.shape, array.dtype, [array])._asdict()
        return Finished(
            id=job.id,
            state=state,
            result=None if result is None else to_json(result),
            error=None if error is None else to_json(error),
            device="cpu",
            batch_size=1,
            timings=TIMINGS,
        )


@pytest.fixture
def upload(client):
    """Uploads an array and gives its digest."""

    async def put(array):
        body = to_npy(np.asarray(array, dtype=np.float64))
        name = digest(body)
        answer = await client.put(f"/v1/datasets/{name}", content=body, headers={"content-type": "application/x-npy"})
        assert answer.status_code == 201, answer.text
        return name

    return put


def digested(body):
    """The headers of a private upload of an npy file."""
    base64 = b64encode(hashlib.sha256(body).digest()).decode()
    return {"content-type": "application/x-npy", "content-digest": f"sha-256=:{base64}:"}


def assert_problem(response, status, code, pointer=None, detail=""):
    """The one shape of all errors."""
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    problem = response.json()
    assert problem["type"] == f"urn:mercer:problem:{code}"
    assert problem["status"] == status
    assert problem["title"]
    if pointer is None:
        assert detail in response.json()["detail"]
        return problem
    errors = {error["pointer"]: error["detail"] for error in problem["errors"]}
    assert pointer in errors, errors
    assert detail in errors[pointer]
    return problem
