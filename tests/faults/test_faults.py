"""Processes are killed while jobs run: no accepted job is lost, and no result changes once it was visible."""

import os
import signal
import time

import numpy as np
import pytest
from redis import Redis

import mercer
from mercer.jobs import State
from tests.faults.jobs import long, medium, small
from tests.faults.observer import Observer


def running(handle, within_s=60.0):
    """Wait until a worker has a job."""
    until = time.monotonic() + within_s
    while (record := handle.refresh()).state != State.RUNNING:
        assert not record.done, "it was too fast for this test"
        assert time.monotonic() < until
        time.sleep(0.01)


@pytest.mark.parametrize("victim", ["worker-1", "service", "valkey"])
def test_no_accepted_job_is_lost_and_no_result_changes_when_a_process_is_killed(service, client, victim):
    before = client.submit_many(small(10))
    for handle in before:
        handle.wait(100)
    handles = [client.submit(long()), *client.submit_many(small(10))]
    with Observer(service.url, [handle.id for handle in before + handles]) as observer:
        running(handles[0])
        pid = service.pids[victim]
        os.kill(pid, signal.SIGKILL)
        records = observer.wait(100)
    assert {record["state"] for record in records} == {"succeeded"}
    assert service.pids[victim] != pid
    np.testing.assert_allclose(np.diag(handles[0].result()), 16.0, rtol=1e-6)


def halted_in_a_batch(service, client, within_s=60.0):
    """The worker's process, halted at a moment when it has jobs."""
    until = time.monotonic() + within_s
    while time.monotonic() < until:
        if not client.jobs(State.RUNNING, limit=1):
            continue
        os.killpg(pid := service.pids["worker-1"], signal.SIGSTOP)
        time.sleep(0.02)  # what it had already sent arrives
        if client.jobs(State.RUNNING, limit=1):
            return pid
        os.killpg(pid, signal.SIGCONT)
    raise AssertionError("it was too fast for this test")


def test_a_worker_killed_again_and_again_in_the_middle_of_batches_loses_nothing(service, client):
    handles = client.submit_many(medium(160))
    with Observer(service.url, [handle.id for handle in handles]) as observer:
        for _ in range(2):
            pid = halted_in_a_batch(service, client)
            os.kill(pid, signal.SIGKILL)
            while service.pids["worker-1"] == pid:
                time.sleep(0.005)
        records = observer.wait(100)
    assert {record["state"] for record in records} == {"succeeded"}
    assert max(record["attempt"] for record in records) > 1, "no batch was hit: this test proved nothing"


def test_the_same_submission_again_after_the_service_was_killed_is_the_same_job(service, client):
    spec, key = small(1)[0], "the-same-key"
    first = client.submit(spec, idempotency_key=key)
    os.kill(service.pids["service"], signal.SIGKILL)
    deadline = time.monotonic() + 100
    while True:
        try:
            second = client.submit(spec, idempotency_key=key)
            break
        except mercer.MercerError:
            assert time.monotonic() < deadline
    assert second.id == first.id


def test_jobs_outlast_a_stop_and_a_start_on_the_same_data(tmp_path, start):
    with start(tmp_path) as service, mercer.Client(service.url) as client:
        handles = [client.submit(long()), *client.submit_many(small(10))]
        ids = [handle.id for handle in handles]
        handles[1].wait(100)
        shown = handles[1].result()
    with start(tmp_path) as service, mercer.Client(service.url) as client:
        for job_id in ids:
            assert client.job(job_id).wait(100).state == State.SUCCEEDED
        np.testing.assert_array_equal(client.job(ids[1]).result(), shown)


def test_the_observer_itself_is_not_blind(service, client):
    """The control: a result that does change is noticed, or the tests above prove nothing."""
    handle = client.submit(small(1)[0])
    with Observer(service.url, [handle.id]) as observer:
        observer.wait(100)
        with Redis.from_url(f"unix://{service.data_dir}/valkey/valkey.sock") as redis:
            key = f"{{mercer}}:job:{handle.id}"
            redis.hset(key, "result", redis.hget(key, "result").replace(b"[1.0,", b"[1.5,", 1))
        until = time.monotonic() + 5
        while not observer.changes:
            assert time.monotonic() < until, "nobody noticed"
            time.sleep(0.05)
