"""The whole service as child processes of this one."""

import os
import signal
import time

import pytest

from deploy.local import LocalService, NotReady, ask


@pytest.fixture
def service(tmp_path, valkey_url, namespace):
    """On the Redis of somebody else."""
    environment = {"MERCER_REDIS_URL": valkey_url, "MERCER_NAMESPACE": namespace, "MERCER_DEVICE": "cpu"}
    with LocalService(tmp_path, workers=2, environment=environment, logs=tmp_path / "logs") as service:
        yield service


def test_a_redis_that_is_there_is_used(service, tmp_path):
    assert set(service.pids) == {"service", "worker-1", "worker-2"}
    assert not (tmp_path / "valkey").exists()
    assert ask(service.port, "/readyz") is not None


def test_a_child_that_dies_is_started_again(service):
    pid = service.pids["service"]
    os.kill(pid, signal.SIGKILL)
    until = time.monotonic() + 100
    while service.pids["service"] == pid or ask(service.port, "/readyz") is None:
        assert time.monotonic() < until
        time.sleep(0.05)


def test_a_service_that_cannot_start_is_told_at_once(tmp_path, valkey_url):
    environment = {"MERCER_REDIS_URL": valkey_url, "MERCER_RESULT_TTL_S": "soon"}
    service = LocalService(tmp_path, environment=environment, logs=tmp_path / "logs")
    with pytest.raises(NotReady, match="ended at once"):
        service.start()
    assert "MERCER_RESULT_TTL_S" in (tmp_path / "logs" / "service.log").read_text()
