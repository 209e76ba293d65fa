"""The client against the whole service, and connections that fail as told."""

import os
import signal
from contextlib import contextmanager

import httpx2
import numpy as np
import pytest

import mercer
from mercer import kernels as k


@pytest.fixture
def url(local_service):
    return local_service.url


@pytest.fixture
def client(url):
    with mercer.Client(url) as client:
        yield client


@pytest.fixture
def paused_worker(local_service):
    """Stops the worker for a moment, well under its lease."""

    @contextmanager
    def paused():
        pid = local_service.pids["worker-1"]
        os.killpg(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.killpg(pid, signal.SIGCONT)

    return paused


@pytest.fixture
def points():
    return np.random.default_rng(0).normal(size=(20, 3))


@pytest.fixture
def gram(points):
    def make(lengthscale=1.0, **options):
        return mercer.Gram(**{"kernel": k.Gaussian(lengthscale=lengthscale), "x": points, **options})

    return make


def gaussian(x, lengthscale=1.0):
    """The formula."""
    r2 = ((x[:, None, :] - x[None, :, :]) ** 2).sum(-1)
    return np.exp(-r2 / (2 * lengthscale**2))


class Faults(httpx2.BaseTransport):
    """The real network, where the next requests meet the given faults in turn.

    away: no connection. lost: the service did it, the reply did not come. cut: the body breaks off after some bytes.
    A number is an answer of that status from something on the way.
    """

    def __init__(self, *faults):
        self.faults = list(faults)
        self.requests = []
        self._network = httpx2.HTTPTransport()

    def handle_request(self, request):
        self.requests.append(request)
        fault = self.faults.pop(0) if self.faults else None
        if fault == "away":
            raise httpx2.ConnectError("away")
        if isinstance(fault, int):
            return httpx2.Response(fault)
        response = self._network.handle_request(request)
        if fault == "lost":
            response.read()
            raise httpx2.ReadError("lost")
        if fault == "cut":
            response.stream = Cut(response.stream)
        return response

    def close(self):
        self._network.close()

    @property
    def methods(self):
        return [request.method for request in self.requests]


class Cut(httpx2.SyncByteStream):
    def __init__(self, stream):
        self._stream = stream

    def __iter__(self):
        yield next(iter(self._stream))
        raise httpx2.ReadError("cut")

    def close(self):
        self._stream.close()


@pytest.fixture
def faulty(url):
    """A client whose next requests fail as told, and its transport."""
    clients = []

    def make(*faults):
        transport = Faults(*faults)
        clients.append(mercer.Client(url, transport=transport))
        return clients[-1], transport

    yield make
    for client in clients:
        client.close()
