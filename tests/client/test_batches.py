"""Batches of the client against the whole service."""

import json
import os
import signal
import time

import numpy as np
import pytest
from redis import Redis

import mercer
from deploy.local import LocalService
from mercer.batches import BatchStatus
from tests.client.conftest import gaussian


@pytest.fixture
def unlucky(client):
    """A job whose data set is gone when a worker looks for it, once `lose` was called."""
    x = np.random.default_rng(77).normal(size=(1_001, 2))
    digest = client.datasets.upload(x).digest
    spec = mercer.Gram(kernel=mercer.kernels.Gaussian(), x=mercer.DatasetReference(dataset=digest))
    return spec, lambda: client.datasets.delete(digest)


def test_a_batch_gives_each_result_once_in_any_order(client, gram, points):
    batch = client.batch((f"n{n}", gram(1.0 + n)) for n in range(30))
    found = list(batch.results())
    assert sorted(name for name, _ in found) == sorted(f"n{n}" for n in range(30))
    for name, array in found:
        np.testing.assert_allclose(array, gaussian(points, 1.0 + int(name[1:])), rtol=1e-12)
    assert batch.refresh().status == BatchStatus.COMPLETED
    assert client.find_batch(batch.id).record == batch.record
    assert batch.id in [one.id for one in client.batches()]


def test_a_batch_comes_from_a_file(client, tmp_path):
    path = tmp_path / "jobs.jsonl"
    spec = dict(mercer.Gram.examples[0])
    path.write_text("\n".join(json.dumps({"custom_id": str(n), "spec": spec}) for n in range(3)))
    batch = client.batch(path)
    assert batch.wait(20, progress=False).counts.succeeded == 3


def test_errors_are_apart_and_say_why(client, gram, unlucky, paused_worker):
    spec, lose = unlucky
    with paused_worker():
        batch = client.batch([("good", gram()), ("bad", spec)])
        lose()
    assert [name for name, _ in batch.results()] == ["good"]
    (line,) = batch.errors()
    assert (line.custom_id, line.state) == ("bad", "failed")
    assert line.error["detail"]
    assert batch.refresh().status == BatchStatus.COMPLETED_WITH_ERRORS


def test_a_wrong_line_is_named_and_nothing_is_queued(client, gram):
    with pytest.raises(mercer.errors.InvalidSpec) as caught:
        client.batch([("a", gram()), ("b", gram()), ("a", gram())])
    assert [field.pointer for field in caught.value.errors] == ["/lines/3/custom_id"]


def test_a_cancelled_batch_keeps_what_is_finished(client, gram, paused_worker):
    with paused_worker():
        batch = client.batch((str(n), gram(1.0 + n)) for n in range(2_000))
        assert batch.cancel().status in (BatchStatus.CANCELLING, BatchStatus.CANCELLED)
    record = batch.wait(30, progress=False)
    assert record.status == BatchStatus.CANCELLED
    assert record.counts.succeeded + record.counts.cancelled == 2_000
    assert record.counts.succeeded == len(list(batch.results()))


def test_what_a_batch_has_not_done_by_its_deadline_expires(client, gram, paused_worker):
    with paused_worker():
        batch = client.batch([("a", gram()), ("b", gram())], cancel_after="1s")
        record = batch.wait(10, progress=False)
    assert (record.status, record.counts.expired) == (BatchStatus.COMPLETED_WITH_ERRORS, 2)
    assert [line.error["title"] for line in batch.errors()] == ["The job expired"] * 2


def test_the_reply_that_was_lost_is_asked_for_again_and_is_the_same_batch(faulty, gram, client):
    before = {one.id for one in client.batches()}
    lossy, _ = faulty("away", "lost")
    batch = lossy.batch([("a", gram())])
    assert {one.id for one in client.batches(limit=100)} - before == {batch.id}


async def test_the_async_client_does_the_same(url, gram):
    async with mercer.AsyncClient(url) as client:
        batch = await client.batch([("a", gram()), ("b", gram(2.0))])
        assert {name async for name, _ in batch.results()} == {"a", "b"}
        assert await batch.errors() == []
        assert (await batch.wait(progress=False)).done
        assert (await client.find_batch(batch.id)).record.counts.total == 2
        assert (await batch.cancel()).status == BatchStatus.COMPLETED  # nothing was left to cancel


def test_five_thousand_jobs_survive_the_service_being_killed_in_the_middle_of_their_admission(tmp_path):
    spec = mercer.Gram(kernel=mercer.kernels.Gaussian(), x=[[0.0], [1.0]])
    with LocalService(tmp_path, logs=tmp_path / "logs") as service, mercer.Client(service.url) as client:
        redis = Redis.from_url(service._valkey.url, decode_responses=True)
        batch = client.batch((str(n), spec) for n in range(5_000))
        os.kill(service.pids["service"], signal.SIGKILL)
        admitted = int(redis.hget(f"{{mercer}}:file:{batch.id}", "admitted"))
        assert admitted < 5_000, "it was too fast for this test"
        names, looks = [], 0
        until = time.monotonic() + 60
        for page in batch.pages("", None):
            names += [fetched.line.custom_id for fetched in page]
            counts = batch.refresh().counts
            looks += 1
            assert sum(counts.model_dump(exclude={"total"}).values()) == counts.total == 5_000
            assert time.monotonic() < until
        redis.close()
        assert sorted(names, key=int) == [str(n) for n in range(5_000)]
        assert looks > 3
        assert batch.refresh().status == BatchStatus.COMPLETED
