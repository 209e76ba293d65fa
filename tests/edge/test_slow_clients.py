"""Clients that send or read too slowly are cut off, and many large bodies at once do not fill the memory."""

import json
import socket
import time
from contextlib import ExitStack

import numpy as np
import psutil
import pytest

from benchmarks.edge.bombs import JSONL, NPY, put
from benchmarks.edge.faulty_specs import SPEC
from benchmarks.edge.watch import Watch
from benchmarks.edge.wire import JSON, exchange, posted, read_answer, request
from deploy.local import LocalService
from mercer.arrays import to_npy

LIMITS = {
    "MERCER_BODY_TIMEOUT_S": "1",
    "MERCER_MIN_BODY_RATE": "1000",
    "MERCER_STALLED_S": "1",
    "MERCER_MAX_BODIES_BYTES": str(2**26),
}
SLACK_S = 8
"""For a busy machine."""

DOORS = {
    "jobs": ("POST", "/v1/jobs", JSON),
    "wait": ("POST", "/v1/jobs/wait", JSON),
    "batches": ("POST", "/v1/batches", JSONL),
    "data sets": ("PUT", f"/v1/datasets/sha256:{'0' * 64}", NPY),
}


@pytest.fixture(scope="module")
def local(tmp_path_factory):
    folder = tmp_path_factory.mktemp("slow")
    with LocalService(folder / "data", workers=0, environment=LIMITS, logs=folder / "logs") as local:
        yield local


def dribble(port, door, pieces):
    """Send the pieces with a pause before each, and read the answer as soon as the server has had enough."""
    method, path, content_type = DOORS[door]
    head = request(method, path, {"Content-Type": content_type, "Content-Length": "50000", "Connection": "keep-alive"})
    with socket.create_connection(("127.0.0.1", port), 60) as connection:
        connection.sendall(head.head)
        connection.setblocking(False)
        for piece in pieces:
            time.sleep(0.1)
            try:
                connection.sendall(piece)
                if connection.recv(1, socket.MSG_PEEK):
                    break
            except BlockingIOError:
                continue
            except OSError:
                break
        connection.settimeout(60)
        answer = read_answer(connection)
        assert connection.recv(1) == b"", "the connection is closed"
    return answer


@pytest.mark.parametrize("door", DOORS)
def test_a_body_of_a_byte_now_and_then_is_cut_off(local, door):
    started = time.monotonic()
    answer = dribble(local.port, door, [b" "] * 300)
    assert time.monotonic() - started < 1 + SLACK_S
    assert (answer.status, answer.problem["status"]) == (408, 408)
    assert "at least 1000 bytes of the body a second" in answer.problem["detail"]


def test_a_body_that_never_comes_is_cut_off(local):
    assert dribble(local.port, "jobs", []).status == 408


def test_a_slow_body_that_keeps_the_rate_arrives(local):
    body = json.dumps(SPEC).encode().ljust(4_000)
    sent = posted("/v1/jobs", body)
    with socket.create_connection(("127.0.0.1", local.port), 60) as connection:
        connection.sendall(sent.head)
        for start in range(0, len(body), 200):
            connection.sendall(body[start : start + 200])
            time.sleep(0.1)
        assert read_answer(connection).status == 202


def test_a_client_that_never_reads_is_cut_off(local):
    body = to_npy(np.zeros((4_000_000, 1)))
    sent = put(body, NPY)
    assert exchange(local.port, sent).status == 201
    path = sent.head.split(b" ")[1].decode()
    service = psutil.Process(local.pids["service"])
    with socket.socket() as connection:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65_536)
        connection.connect(("127.0.0.1", local.port))
        connection.sendall(request("GET", path).head)
        deadline = time.monotonic() + 1 + SLACK_S
        ours = connection.getsockname()[1]
        while any(one.raddr and one.raddr.port == ours for one in service.net_connections("tcp")):
            assert time.monotonic() < deadline, "the service still holds the connection"
            time.sleep(0.1)


def test_many_large_bodies_at_once_take_turns_and_let_small_ones_pass(local):
    head = request("POST", "/v1/jobs", {"Content-Type": JSON, "Content-Length": str(2**23)}).head
    with ExitStack() as stack, Watch(local.port, local.pids["service"], pause_s=0.05) as watch:
        for _ in range(24):
            connection = stack.enter_context(socket.create_connection(("127.0.0.1", local.port), 60))
            connection.setblocking(False)
            connection.send(head)
            for _ in range(20):
                try:
                    connection.send(b" " * 400_000)
                except BlockingIOError:
                    time.sleep(0.002)
        assert exchange(local.port, posted("/v1/jobs", json.dumps(SPEC).encode())).status == 202
    assert watch.cost.growth_mib < 64
