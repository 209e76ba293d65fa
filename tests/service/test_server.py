"""The service as a process of its own."""

import os
import signal
import socket
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import httpx2
import numpy as np
import pytest

from mercer.arrays import digest, to_npy
from tests.service.conftest import SPEC


@pytest.fixture
def server(valkey_url, namespace, tmp_path):
    """The process and a client of it."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = os.environ | {
        "MERCER_REDIS_URL": valkey_url,
        "MERCER_NAMESPACE": namespace,
        "MERCER_DATA_DIR": str(tmp_path),
        "MERCER_PORT": str(port),
    }
    process = subprocess.Popen([sys.executable, "-m", "service"], env=environment)
    with httpx2.Client(base_url=f"http://127.0.0.1:{port}", timeout=30) as client:
        _until_alive(client, process)
        yield process, client
    process.kill()
    process.wait()


def _until_alive(client, process):
    for _ in range(200):
        assert process.poll() is None
        try:
            client.get("/livez")
        except httpx2.TransportError:
            time.sleep(0.05)
        else:
            return
    raise AssertionError("the service did not start")


def test_a_process_serves_jobs_and_data_sets(server):
    _, client = server
    body = to_npy(np.eye(3))
    name = digest(body)
    assert client.put(f"/v1/datasets/{name}", content=body, headers={"content-type": "application/x-npy"}).is_success
    answer = client.post("/v1/jobs", json=SPEC | {"x": {"dataset": name}})
    assert answer.status_code == 202
    assert client.get("/readyz").status_code == 200


def test_sigterm_ends_event_streams_and_the_process_at_once(server):
    process, client = server
    job = client.post("/v1/jobs", json=SPEC).json()["id"]
    with client.stream("GET", f"/v1/jobs/{job}/events") as stream:
        lines = stream.iter_lines()
        assert next(lines).startswith("id: ")
        started = time.monotonic()
        process.send_signal(signal.SIGTERM)
        assert not any(line.startswith("event: ") and "succeeded" in line for line in lines)
    process.wait(timeout=5)
    assert time.monotonic() - started < 3


def test_a_long_poll_is_answered_when_the_process_ends(server):
    process, client = server
    job = client.post("/v1/jobs", json=SPEC).json()["id"]
    with ThreadPoolExecutor(1) as pool:
        polling = pool.submit(client.get, f"/v1/jobs/{job}?wait=30")
        time.sleep(0.5)
        process.send_signal(signal.SIGTERM)
        answer = polling.result(timeout=5)
    assert (answer.status_code, answer.json()["state"]) == (200, "queued")
    process.wait(timeout=5)


def test_a_process_that_requires_a_durable_queue_ends_on_another(valkey_url, tmp_path):
    environment = os.environ | {
        "MERCER_REDIS_URL": valkey_url,
        "MERCER_DATA_DIR": str(tmp_path),
        "MERCER_REQUIRE_DURABLE": "true",
    }
    ended = subprocess.run(
        [sys.executable, "-m", "service"], env=environment, capture_output=True, text=True, timeout=60
    )
    assert ended.returncode == 1
    assert "MERCER_REQUIRE_DURABLE: expected appendfsync always, got no" in ended.stderr
