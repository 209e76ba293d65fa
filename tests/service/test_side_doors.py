"""What an attacker sees who has every scope but private:admin: the same whatever the private records are.

A whole service with a worker is set up anew for each data set and asked everything; what the answers tell but for ids,
times and noise has to be equal. How long a release takes is tested in tests/workers/test_releasing.py.
"""

import json
import re
from contextlib import asynccontextmanager
from itertools import count

import httpx2
import numpy as np
import pytest
from prometheus_client import generate_latest
from pydantic import SecretStr

from broker.service_broker import ServiceBroker
from broker.worker_broker import WorkerBroker
from gpu.device import Device
from mercer.arrays import digest, from_npy, to_npy
from mercer.keys import Scope
from service.app import create_app
from store.datasets import Datasets
from store.local import LocalObjects
from store.private import PrivateDatasets
from store.releases import Releases
from store.results import Results
from store.usage import used_bytes
from tests.service.conftest import digested
from tests.service.test_access import JSONL, OPERATIONS, ROOT_KEY
from workers.batch import Batch, Bench
from workers.loading import Shelves
from workers.metrics import Metrics
from workers.watch import Watch

NAME = "0123456789abcdef" * 2
TERMS = {
    "epsilon": 3.0,
    "delta": 1e-6,
    "neighbours": "add_or_remove_one",
    "domain": {"low": [0, 0], "high": [1, 1]},
    "max_records": 500,
}
DENSITY = {
    "kind": "private_density",
    "x": {"private": NAME},
    "kernel": {"family": "gaussian", "lengthscale": 0.2},
    "epsilon": 0.5,
    "delta": 1e-7,
}
RECORDS = np.random.default_rng(0).random((40, 2))
CHANGED = np.vstack([RECORDS[:-1], [[1e300, -1.0]]])
NEARLY = np.vstack([RECORDS[:-1], [[0.5, 0.5]]])
PUBLIC = to_npy(np.ones((3, 2)))
TIMES = {"created_at", "started_at", "finished_at", "time", "timings"}
OWN_WAYS = TIMES | {"id", "job_id", "cursor", "vector_sha256", "value", "records", "secret", "key"}
"""Fields that hold ids, times, noise, or what is shown once."""
READS = sorted(route for route in OPERATIONS if route.split()[0] in ("GET", "HEAD"))


class House:
    """A service, its worker, a custodian, an analyst, and all that the analyst was told."""

    def __init__(self, app, settings, objects):
        self.app, self.settings, self.objects = app, settings, objects
        self.seen, self.ids = {}, {}
        self.metrics = Metrics(Device("cpu"), lambda: used_bytes(objects))

    async def open(self):
        root = self.client(ROOT_KEY)
        for who, scopes in (("admin", set(Scope)), ("analyst", set(Scope) - {Scope.PRIVATE_ADMIN})):
            body = {"name": who, "tenant": "acme", "scopes": sorted(scopes)}
            made = (await root.post("/v1/keys", json=body)).json()
            self.ids[f"key of {who}"] = made["id"]
            setattr(self, who, self.client(made["key"]))

    def client(self, key):
        transport = httpx2.ASGITransport(self.app, raise_app_exceptions=False)
        headers = {"authorization": f"Bearer {key}"}
        return httpx2.AsyncClient(transport=transport, base_url="http://testserver", headers=headers)

    async def ask(self, label, method, path, client=None, **options):
        """Send a request and note what it told; the JSON of the answer."""
        answer = await (client or self.analyst).request(method, path, **options)
        readable = answer.headers.get("content-type") == "application/json" and answer.content
        document = answer.json() if readable else None
        if method == "POST" and isinstance(document, dict) and "id" in document:
            self.ids[label] = document["id"]
        assert label not in self.seen
        self.seen[label] = answer
        return document

    def work(self):
        """Let a worker do all that is queued."""
        shelves = Shelves(Datasets(self.objects, 2**20), PrivateDatasets(self.objects, 2**20), Releases(self.objects))
        bench = Bench(shelves, Results(self.objects), Device("cpu"))
        broker = WorkerBroker.connect(self.settings.redis_url, namespace=self.settings.namespace, linger_ms=0)
        while (claim := broker.claim("worker", "cpu", max_jobs=64, max_bytes=2**40, block_ms=100)) is not None:
            self.metrics.claimed(claim)
            done = Batch(bench, Watch(claim.lease), lambda job_id: lambda fraction: None).run(claim.jobs)
            self.metrics.finished(claim.jobs[0].kind, done, broker.finish(claim.lease, done))
        broker.close()

    def told(self):
        """All of it, without what is random or a time."""
        return {label: self._told(answer) for label, answer in self.seen.items()} | {
            "worker": counts(generate_latest(self.metrics.registry).decode()),
            "store": used_bytes(self.objects),
        }

    def _told(self, answer):
        kind = answer.headers.get("content-type", "").partition(";")[0]
        headers = {name: value for name, value in answer.headers.items() if name != "content-length"}
        if "json" in kind and answer.content:
            body = [same(json.loads(line)) for line in answer.text.splitlines()]
        elif kind == "text/event-stream":
            body = [same(json.loads(line[6:])) for line in answer.text.splitlines() if line.startswith("data: ")]
        elif kind == "application/x-npy" and answer.content:
            array = from_npy(answer.content)
            body = [array.shape, array.dtype.str, len(answer.content)]
        else:
            body = counts(answer.text) if kind == "text/plain" else answer.text
        return json.loads(self.anonymous(json.dumps([answer.status_code, headers, body])))

    def anonymous(self, text):
        for label, name in sorted(self.ids.items(), key=lambda item: -len(item[1])):
            text = text.replace(name, f"<{label}>")
        return text


def same(value):
    """What of a document is to be the same."""
    if isinstance(value, list):
        return [same(one) for one in value]
    if not isinstance(value, dict):
        return value
    return {name: None if name in OWN_WAYS else same(one) for name, one in value.items()}


def counts(metrics):
    """Metrics without durations, and without what the process takes of its machine."""
    left_out = re.compile(r"#|process_|mercer_store_(free|total)|\w+_seconds_(sum|bucket)|\w+_created")
    return [line for line in metrics.splitlines() if not left_out.match(line)]


@pytest.fixture
def house(settings, tmp_path, monkeypatch):
    number = count()
    monkeypatch.setattr("service.quota.MEASURED_S", 0.0)

    @asynccontextmanager
    async def opened(records):
        own = f"house-{next(number)}"
        update = {"root_key": SecretStr(ROOT_KEY), "data_dir": tmp_path / own, "max_tenant_bytes": 10_000}
        chosen = settings.model_copy(update=update | {"namespace": f"{settings.namespace}-{own}"})
        objects = LocalObjects(chosen.data_dir)
        broker = ServiceBroker.connect(chosen.redis_url, namespace=chosen.namespace, max_queued=chosen.max_queued)
        app = create_app(chosen, broker, objects)
        made = House(app, chosen, objects)
        await made.open()
        await protect(made, NAME)
        await put(made, records)
        yield made
        await app.state.parts.admitter.close()
        await app.state.parts.sender.close()
        await broker.close()

    return opened


async def protect(house, name):
    assert (await house.admin.post("/v1/private", json={"name": name, "terms": TERMS})).status_code == 201


async def put(house, records, name=NAME):
    body = to_npy(records)
    answer = await house.admin.put(f"/v1/private/{name}/data", content=body, headers=digested(body))
    assert answer.status_code == 201


async def analyse(house, records):
    """Use everything that there is for an analyst, then look everywhere."""
    await house.ask("public", "PUT", f"/v1/datasets/{digest(PUBLIC)}", content=PUBLIC, headers=digested(PUBLIC))
    await house.ask("plan", "POST", "/v1/plan", json=DENSITY)
    await house.ask("plan of too much", "POST", "/v1/plan", json=DENSITY | {"epsilon": 20.0})
    once = {"idempotency-key": "once"}
    await house.ask("release", "POST", "/v1/jobs", json=DENSITY, headers=once)
    house.work()
    await house.ask("again", "POST", "/v1/jobs", json=DENSITY, headers=once)
    release = (await house.ask("releases", "GET", "/v1/releases"))["releases"][0]
    query = {"kind": "private_density_query", "release": {"release": release}, "points": [[0.5, 0.5]]}
    await house.ask("query", "POST", "/v1/jobs", json=query)
    await house.ask("too much", "POST", "/v1/jobs", json=DENSITY | {"epsilon": 20.0}, headers={"idempotency-key": "no"})
    lines = "\n".join(json.dumps({"custom_id": name, "spec": query}) for name in "ab")
    await house.ask("batch", "POST", "/v1/batches", content=lines.encode(), headers=JSONL)
    failing = {"idempotency-key": "failing"}
    await house.ask("failing", "POST", "/v1/jobs", json=DENSITY, headers=failing)
    await house.admin.delete(f"/v1/private/{NAME}")
    await house.app.state.parts.admitter._step()
    house.work()
    await put(house, records)
    await house.ask("webhook", "POST", "/v1/webhooks", json={"url": "https://192.0.2.1/"})
    big = to_npy(np.ones((600, 2)))
    await house.ask("no room", "PUT", f"/v1/datasets/{digest(big)}", content=big, headers=digested(big))
    places = {"digest": digest(PUBLIC), "name": NAME, "release_id": release}
    places |= {"batch_id": house.ids["batch"], "webhook_id": house.ids.get("webhook", "we_" + "0" * 32)}
    for route in READS:
        method, path = route.split()
        for job in ("release", "query", "failing") if "{job_id}" in path else ("",):
            url = path.format(**places, job_id=house.ids.get(job))
            await house.ask(f"{route} {job}", method, url)


def different(one, other):
    """What is not the same, by the label of what was asked."""
    return {
        label: (one.get(label), other.get(label))
        for label in one.keys() | other.keys()
        if one.get(label) != other.get(label)
    }


OTHERS = {
    "one changed": CHANGED,
    "one more": np.vstack([RECORDS, [[0.5, 0.5]]]),
    "one alone": RECORDS[:1],
    "as many as there may be": np.random.default_rng(1).random((500, 2)),
}


@pytest.mark.parametrize("others", OTHERS.values(), ids=OTHERS)
async def test_nothing_that_can_be_asked_for_tells_what_the_records_are_or_how_many(house, others):
    told = []
    for records in (RECORDS, others):
        async with house(records) as made:
            await analyse(made, records)
            told.append(made.told())
    assert different(*told) == {}
    answered = {label: one[0] for label, one in told[0].items() if isinstance(one, list) and isinstance(one[0], int)}
    assert (answered["release"], answered["query"], answered["too much"], answered["no room"]) == (202, 202, 409, 413)
    assert [label for label, status in answered.items() if label in READS and status >= 300] == []


async def guess(house, records):
    """Use a guess of all records wherever the service takes bytes or their digest; what was told."""
    body = to_npy(records)
    house.ids |= {"digest": digest(body), "hex": digest(body).removeprefix("sha256:"), "half": digest(body)[7:39]}
    path, hexadecimal = f"/v1/datasets/{digest(body)}", digest(body).removeprefix("sha256:")
    job = {"kind": "gram", "kernel": {"family": "gaussian"}, "x": {"dataset": digest(body)}}
    for step in ("before", "after", "later"):
        for method in ("HEAD", "GET", "DELETE"):
            await house.ask(f"{step} {method}", method, path)
        await house.ask(f"{step} job", "POST", "/v1/jobs", json=job)
        await house.ask(f"{step} plan", "POST", "/v1/plan", json=job)
        for name in (hexadecimal, hexadecimal[:32], digest(body)):
            await house.ask(f"{step} private {len(name)}", "GET", f"/v1/private/{name}")
        if step == "before":
            await house.ask("put", "PUT", path, content=body, headers=digested(body))
            await house.ask("put again", "PUT", path, content=body, headers=digested(body))
        if step == "after":
            await house.ask("second", "POST", "/v1/private", house.admin, json={"name": "f" * 32, "terms": TERMS})
            for number, name in enumerate((NAME, NAME, "f" * 32, "e" * 32)):
                data = f"/v1/private/{name}/data"
                await house.ask(f"upload {number}", "PUT", data, house.admin, content=body, headers=digested(body))
    return house.told()


async def test_who_has_guessed_all_records_is_told_what_anybody_is_told(house):
    told = []
    for guessed in (RECORDS, NEARLY):
        async with house(RECORDS) as made:
            told.append(await guess(made, guessed))
    assert different(*told) == {}
    answered = {label: one[0] for label, one in told[0].items() if isinstance(one, list) and isinstance(one[0], int)}
    assert [answered[label] for label in ("put", "put again", "upload 0", "upload 1")] == [201, 200, 201, 201]
