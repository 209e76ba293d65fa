"""`python -m deploy serve` as a user starts, stops and mistakes it."""

import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request

import psutil
import pytest

from deploy.local import free_port


class Serve:
    """The command, with everything that it starts."""

    def __init__(self, data_dir, port):
        self.port = port
        self.process = subprocess.Popen(
            [sys.executable, "-m", "deploy", "serve"],
            env=os.environ | {"MERCER_DATA_DIR": str(data_dir), "MERCER_PORT": str(port), "MERCER_DEVICE": "cpu"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def wait_until_it_listens(self):
        for line in self.process.stdout:
            if "listens" in line:
                return line
        raise AssertionError(f"it ended with {self.process.wait()}")

    def family(self):
        """The process and all that it started."""
        parent = psutil.Process(self.process.pid)
        return [parent, *parent.children(recursive=True)]

    def end(self):
        """Its exit code and what it said; bounded."""
        output, _ = self.process.communicate(timeout=100)
        return self.process.returncode, output


@pytest.fixture
def serve(tmp_path):
    started = []

    def start(data_dir=tmp_path / "data", port=None):
        started.append(Serve(data_dir, free_port() if port is None else port))
        return started[-1]

    yield start
    for one in started:
        if one.process.poll() is None:
            one.process.terminate()
            one.end()
        one.process.stdout.close()


def answers(port, path):
    with urllib.request.urlopen(f"http://127.0.0.1:{port}{path}", timeout=5) as response:
        return response.status


def gone(processes, within_s):
    return not psutil.wait_procs(processes, timeout=within_s)[1]


def test_it_says_where_it_listens_and_stops_cleanly(serve, tmp_path):
    service = serve()
    line = service.wait_until_it_listens()
    assert f"http://127.0.0.1:{service.port}" in line
    assert str(tmp_path / "data") in line
    assert answers(service.port, "/readyz") == 200
    family = service.family()
    service.process.send_signal(signal.SIGINT)
    code, output = service.end()
    assert code == 0
    assert "Traceback" not in output
    assert gone(family, 1.0)
    assert not (tmp_path / "data" / "valkey" / "valkey.sock").exists()


def test_a_second_start_on_the_same_data_is_refused_at_once(serve):
    serve().wait_until_it_listens()
    started_s = time.monotonic()
    code, output = serve().end()
    assert code == 3
    assert time.monotonic() - started_s < 2.0  # under a second on an idle machine
    assert "already runs" in output
    assert "MERCER_DATA_DIR" in output
    assert "Traceback" not in output


def test_a_port_in_use_is_refused_and_nothing_is_left_behind(serve, tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        code, output = serve(port=listener.getsockname()[1]).end()
    assert code == 4
    assert "MERCER_PORT" in output
    assert "Traceback" not in output
    serve().wait_until_it_listens()  # the folder is free again


def test_nothing_outlives_a_killed_launcher(serve):
    service = serve()
    service.wait_until_it_listens()
    family = service.family()
    assert len(family) >= 4  # the launcher, Valkey, the service, the worker
    service.process.kill()
    assert gone(family, 5.0)


@pytest.mark.parametrize(
    "environment", [{"MERCER_PORT": "http"}, {"MERCER_WORKERS": "many"}, {"MERCER_HOST": "0.0.0.0"}]
)
def test_a_setting_that_cannot_be_is_named(environment):
    command = [sys.executable, "-m", "deploy", "serve"]
    answer = subprocess.run(command, env=os.environ | environment, capture_output=True, text=True, timeout=20)
    assert answer.returncode == 2
    assert next(iter(environment)) in answer.stderr
    assert "Traceback" not in answer.stderr
