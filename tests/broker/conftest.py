"""Brokers on a real server, the jobs that they move, and a proxy that loses replies."""

import asyncio
import itertools
import socket
import threading
import uuid
from contextlib import suppress

import pytest
from redis import Redis

from broker.keys import tag
from broker.records import Finished, Submission
from broker.service_broker import ServiceBroker
from broker.worker_broker import WorkerBroker
from deploy.valkey import Valkey

_sockets = itertools.count()


@pytest.fixture
def submission():
    """Makes a small job; any field may be given."""

    def make(batch_key="gram:a", **fields):
        made = {"id": uuid.uuid4().hex, "kind": "gram", "spec": b'{"kind":"gram"}', "fingerprint": "f", "flops": 10}
        return Submission(**{**made, "bytes": 10, "batch_key": batch_key, **fields})

    return make


@pytest.fixture
def ended():
    """Makes the end of a job."""

    def make(job_id, state="succeeded", result=b'{"n":1}', **fields):
        made = {"device": "cpu", "batch_size": 1, "timings": {"compute_ms": 1.5}}
        return Finished(id=job_id, state=state, result=result if state == "succeeded" else None, **{**made, **fields})

    return make


@pytest.fixture
async def connect_service(valkey_url, namespace):
    """Makes ServiceBrokers of this test's namespace, and closes them."""
    made = []

    def connect(url=valkey_url, **options):
        made.append(ServiceBroker.connect(url, namespace=namespace, **options))
        return made[-1]

    yield connect
    for service in made:
        await service.close()


@pytest.fixture
def connect_worker(valkey_url, namespace):
    """Makes WorkerBrokers of this test's namespace, which do not linger unless told, and closes them."""
    made = []

    def connect(url=valkey_url, **options):
        made.append(WorkerBroker.connect(url, namespace=namespace, **{"linger_ms": 0, **options}))
        return made[-1]

    yield connect
    for worker in made:
        worker.close()


@pytest.fixture
async def service(connect_service):
    return connect_service()


@pytest.fixture
def worker(connect_worker):
    return connect_worker()


@pytest.fixture
def admit(service, submission):
    """Queues jobs of one batch key and answers their ids."""

    async def make(number=1, **fields):
        return [job.id for job in await service.admit([submission(**fields) for _ in range(number)])]

    return make


@pytest.fixture
def take(worker):
    """Claims without waiting."""

    def make(by=worker, **options):
        return by.claim("w", "cpu", **{"block_ms": 0, **options})

    return make


@pytest.fixture
def redis(valkey_url):
    with Redis.from_url(valkey_url, decode_responses=True) as client:
        yield client


@pytest.fixture
def own_redis(own_valkey):
    """Speaks to the server of own_valkey, also after that was restarted."""
    with Redis.from_url(own_valkey.url, decode_responses=True) as client:
        yield client


@pytest.fixture
def keys(redis, namespace):
    """The keys of this test that begin with a prefix."""
    return lambda prefix="": sorted(redis.scan_iter(f"{tag(namespace)}:{prefix}*", count=1000))


@pytest.fixture
def own_valkey(tmp_path):
    """A server of this test's own, to be killed."""
    with Valkey(tmp_path / "valkey") as valkey:
        yield valkey


class LossyProxy:
    """Stands before a server and, when told, passes a command on and loses its reply with the connection."""

    def __init__(self, path, upstream):
        self.url, self.lost = f"unix://{path}", 0
        self._upstream, self._lose, self._sockets = upstream, False, []
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(str(path))
        self._listener.listen()
        threading.Thread(target=self._accept, daemon=True).start()

    def lose_next_reply(self):
        self._lose = True

    def close(self):
        for end in (self._listener, *self._sockets):
            with suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            end.close()

    def _accept(self):
        with suppress(OSError):
            while True:
                client, server = self._listener.accept()[0], socket.socket(socket.AF_UNIX)
                server.connect(self._upstream)
                self._sockets += [client, server]
                for pump in (self._ask, self._answer):
                    threading.Thread(target=pump, args=(client, server), daemon=True).start()

    def _ask(self, client, server):
        with suppress(OSError):
            while data := client.recv(1 << 16):
                server.sendall(data)
            server.shutdown(socket.SHUT_WR)

    def _answer(self, client, server):
        with suppress(OSError):
            while data := server.recv(1 << 16):
                if self._lose:
                    self._lose, self.lost = False, self.lost + 1
                    break
                client.sendall(data)
            client.shutdown(socket.SHUT_RDWR)


@pytest.fixture
def proxy(valkey_url, tmp_path_factory):
    path = tmp_path_factory.mktemp("proxy") / f"{next(_sockets)}.sock"
    proxy = LossyProxy(path, valkey_url.removeprefix("unix://"))
    yield proxy
    proxy.close()


@pytest.fixture
def eventually():
    """Tries a condition again and again, for some seconds."""

    async def check(condition, within_s=5.0):
        deadline = asyncio.get_running_loop().time() + within_s
        while not (value := condition()):
            assert asyncio.get_running_loop().time() < deadline, "it never came true"
            await asyncio.sleep(0.01)
        return value

    return check
