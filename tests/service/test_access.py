"""Who may do what, for every route of openapi.yaml: no key, a key without the scope, a foreign key, the right key."""

import json
from ipaddress import ip_network
from pathlib import Path
from secrets import token_hex

import httpx2
import numpy as np
import pytest
import yaml
from fastapi import APIRouter
from fastapi.routing import APIRoute
from pydantic import SecretStr

from mercer.arrays import digest, to_npy
from mercer.keys import Scope
from mercer.privacy.terms import Box, Neighbours, Terms
from service.app import create_app
from service.scopes import protect
from store.releases import Releases
from tests.service.conftest import SPEC, assert_problem, digested

ROOT_KEY = "root-key-of-the-tests-" + "0" * 32
DOCUMENT = yaml.safe_load((Path(__file__).parents[2] / "openapi.yaml").read_text())
OPERATIONS = {
    f"{method.upper()} {path}": operation
    for path, methods in DOCUMENT["paths"].items()
    for method, operation in methods.items()
}
OPEN = {route for route, operation in OPERATIONS.items() if operation["security"] == []}
POINTS = to_npy(np.arange(6.0).reshape(3, 2))
PRIVATE = to_npy(np.arange(8.0).reshape(4, 2))
TERMS = Terms(epsilon=1.0, neighbours=Neighbours.CHANGE_ONE, domain=Box([0, 0], [8, 8]), max_records=9)
NPY = {"content-type": "application/x-npy"}
JSONL = {"content-type": "application/jsonl"}
LINES = json.dumps({"custom_id": "a", "spec": SPEC}).encode()
OWNERS = ("default", "acme")
MAKES_ONE_OF_ITS_OWN = ("PUT /v1/datasets/{digest}", "POST /v1/private")


@pytest.fixture
def settings(settings):
    here = (ip_network("127.0.0.0/8"), ip_network("::1/128"))
    return settings.model_copy(update={"root_key": SecretStr(ROOT_KEY), "webhooks_allow_private": here})


@pytest.fixture
def as_key(app):
    """A client that sends a key."""

    def connect(key=None):
        headers = {"authorization": f"Bearer {key}"} if key else {}
        transport = httpx2.ASGITransport(app, raise_app_exceptions=False)
        return httpx2.AsyncClient(transport=transport, base_url="http://testserver", headers=headers)

    return connect


@pytest.fixture
def create(as_key):
    async def make(tenant, scopes=tuple(Scope), **fields):
        body = {"name": "k", "tenant": tenant, "scopes": sorted(scopes), **fields}
        answer = await as_key(ROOT_KEY).post("/v1/keys", json=body)
        assert answer.status_code == 201, answer.text
        return answer.json()

    return make


def protection(name):
    return {"name": name, "terms": TERMS.model_dump(mode="json")}


class Owned:
    """What a tenant has, and the request of each route that reaches it."""

    def __init__(self, ids):
        self.ids = ids

    def request(self, route):
        method, path = route.split()
        parameters = {"job_id": "job", "batch_id": "batch", "digest": "digest", "key_id": "victim", "name": "private"}
        parameters["webhook_id"] = "webhook"
        parameters["release_id"] = "release"
        if route == "POST /v1/jobs/{job_id}/retry":
            parameters["job_id"] = "cancelled"
        path = path.format(**{name: self.ids[what] for name, what in parameters.items()})
        bodies = {
            "POST /v1/jobs": {"json": SPEC},
            "POST /v1/jobs/wait": {"json": {"ids": [self.ids["job"]], "wait_s": 0}},
            "POST /v1/jobs/results": {"json": {"ids": [self.ids["job"]]}},
            "POST /v1/plan": {"json": SPEC},
            "POST /v1/private": {"json": protection(self.ids["private"])},
            "PUT /v1/private/{name}/data": {"content": PRIVATE, "headers": digested(PRIVATE)},
            "POST /v1/batches": {"content": LINES, "headers": JSONL},
            "PUT /v1/datasets/{digest}": {"content": POINTS, "headers": NPY},
            "POST /v1/webhooks": {"json": {"url": f"https://localhost/{id(self)}"}},
            "PATCH /v1/webhooks/{webhook_id}": {"json": {"events": ["job.dead"]}},
            "POST /v1/webhooks/{webhook_id}/rotate": {"json": {}},
            "POST /v1/keys": {"json": {"name": "n", "scopes": ["jobs:read"]}},
        }
        return {"method": method, "url": path, **bodies.get(route, {})}


@pytest.fixture
def owned(as_key, create, worker, objects):
    """Gives a tenant one of everything."""

    async def make(tenant):
        key = (await create(tenant))["key"]
        async with as_key(key) as client:
            name = digest(POINTS)
            assert (await client.put(f"/v1/datasets/{name}", content=POINTS, headers=NPY)).status_code == 201
            private = token_hex(16)
            assert (await client.post("/v1/private", json=protection(private))).status_code == 201
            data = f"/v1/private/{private}/data"
            assert (await client.put(data, content=PRIVATE, headers=digested(PRIVATE))).status_code == 201
            job = (await client.post("/v1/jobs", json=SPEC)).json()["id"]
            worker.finish()
            cancelled = (await client.post("/v1/jobs", json=SPEC)).json()["id"]
            await client.post(f"/v1/jobs/{cancelled}/cancel")
            batch = (await client.post("/v1/batches", content=LINES, headers=JSONL)).json()["id"]
            webhook = (await client.post("/v1/webhooks", json={"url": "https://localhost/"})).json()["id"]
        release = "abcdef01" * 4
        Releases(objects, tenant).publish(release, np.arange(3), {"kind": "private_density"})
        ids = {"job": job, "webhook": webhook, "cancelled": cancelled, "batch": batch, "digest": name}
        ids |= {"private": private, "release": release}
        return key, Owned(ids | {"victim": (await create(tenant))["id"]})

    return make


def unknown(ids):
    """Ids of the same form, of nothing."""
    return {
        "job": "0" * 32,
        "cancelled": "0" * 32,
        "batch": "0" * 32,
        "digest": "sha256:" + "0" * 64,
        "private": "1" * 32,
        "release": "0" * 32,
        "webhook": "we_" + "0" * 32,
        "victim": "0" * 16,
    }


def without_ids(text, ids):
    for name in sorted(ids.values(), key=len, reverse=True):
        text = text.replace(name, "<id>")
    return text


def test_every_route_says_what_it_needs():
    assert {"GET /livez", "GET /readyz", "GET /metrics"} == OPEN
    for route, operation in OPERATIONS.items():
        if route not in OPEN:
            (requirement,) = operation["security"]
            assert set(requirement["key"]) <= set(Scope), route
            assert "401" in operation["responses"], route
            assert ("403" in operation["responses"]) == bool(requirement["key"]), route


def test_a_route_without_a_need_keeps_the_service_from_starting():
    router = APIRouter()

    @router.get("/v1/forgotten")
    async def forgotten():
        """Nobody said who may."""

    with pytest.raises(LookupError, match="/v1/forgotten"):
        protect([route for route in router.routes if isinstance(route, APIRoute)])


@pytest.mark.parametrize("route", sorted(OPEN))
async def test_what_is_open_asks_for_no_key(route, as_key):
    method, path = route.split()
    assert (await as_key().request(method, path)).status_code == 200


@pytest.mark.parametrize("route", sorted(set(OPERATIONS) - OPEN))
async def test_without_a_key_nothing_is_answered(route, as_key, client):
    request = Owned(unknown({})).request(route)
    for sent in (None, "mk_" + "0" * 16 + "_" + "0" * 64, "", "x" * 5_000):
        answer = await as_key(sent).request(**request)
        assert (answer.status_code, answer.headers["www-authenticate"]) == (401, 'Bearer realm="mercer"')


@pytest.mark.parametrize(
    "route", sorted(route for route, op in OPERATIONS.items() if route not in OPEN and op["security"][0]["key"])
)
async def test_a_key_without_the_scope_is_refused_by_its_name(route, as_key, create):
    (scope,) = OPERATIONS[route]["security"][0]["key"]
    key = (await create("acme", set(Scope) - {scope}))["key"]
    answer = await as_key(key).request(**Owned(unknown({})).request(route))
    assert answer.status_code == 403
    if not route.startswith("HEAD"):
        assert_problem(answer, 403, "forbidden", detail=f"the scope {scope}")


@pytest.mark.parametrize("owner", OWNERS)
@pytest.mark.parametrize("route", sorted(set(OPERATIONS) - OPEN))
async def test_a_foreign_object_is_as_one_that_is_not_there(route, owner, owned, as_key, create):
    key, theirs = await owned(owner)
    nowhere = Owned(unknown(theirs.ids))
    foreign = as_key((await create("other"))["key"])
    answer = await foreign.request(**theirs.request(route))
    missing = await foreign.request(**nowhere.request(route)) if route not in MAKES_ONE_OF_ITS_OWN else answer
    assert answer.status_code == missing.status_code
    assert without_ids(answer.text, theirs.ids) == without_ids(missing.text, nowhere.ids) or answer.status_code < 300
    named = "{" in route or route in ("POST /v1/jobs/wait", "POST /v1/jobs/results")
    if route in MAKES_ONE_OF_ITS_OWN:
        assert answer.status_code == 201  # not 200: the bytes moved, though another tenant has them
        assert not answer.json().get("uploaded", False)
    elif named:
        assert answer.status_code == 404
    else:
        assert not [name for name in theirs.ids.values() if name in answer.text]
    assert (await as_key(key).get(f"/v1/jobs/{theirs.ids['job']}")).json()["state"] == "succeeded"
    assert (await as_key(key).get(f"/v1/jobs/{theirs.ids['cancelled']}")).json()["state"] == "cancelled"
    assert (await as_key(key).get(f"/v1/batches/{theirs.ids['batch']}")).json()["status"] == "in_progress"
    assert (await as_key(key).head(f"/v1/datasets/{theirs.ids['digest']}")).status_code == 200
    assert (await as_key(key).get(f"/v1/private/{theirs.ids['private']}")).json()["uploaded"]


@pytest.mark.parametrize("route", sorted(set(OPERATIONS) - OPEN))
async def test_the_right_key_is_answered(route, owned, as_key, create):
    all_scopes, theirs = await owned("acme")
    scopes = OPERATIONS[route]["security"][0]["key"]
    # A key gives no scope that it has not, so whoever creates one for reading jobs must itself read jobs.
    key = (await create("acme", {*scopes, "jobs:read"}))["key"] if scopes else all_scopes
    answer = await as_key(key).request(**theirs.request(route))
    assert answer.status_code < 300, answer.text


async def test_a_service_without_a_root_key_asks_nobody(settings, broker, objects):
    app = create_app(settings.model_copy(update={"root_key": None}), broker, objects)
    transport = httpx2.ASGITransport(app)
    async with httpx2.AsyncClient(transport=transport, base_url="http://testserver") as client:
        assert (await client.get("/v1/jobs")).status_code == 200
        assert (await client.get("/v1/jobs", headers={"authorization": "Bearer x"})).status_code == 200
    await app.state.parts.admitter.close()
