"""API keys over HTTP: who may create which, and when one stops to count."""

import asyncio
from datetime import UTC, datetime, timedelta

import httpx2
import pytest
from pydantic import SecretStr

import service.keyring
from service.app import create_app
from tests.service.conftest import assert_problem

ROOT_KEY = "root-key-of-the-tests-" + "0" * 32


@pytest.fixture
def settings(settings):
    return settings.model_copy(update={"root_key": SecretStr(ROOT_KEY)})


@pytest.fixture
def ask(app):
    """Sends a request with a key, to this app or another."""

    async def send(key, method, path, to=app, **options):
        transport = httpx2.ASGITransport(to, raise_app_exceptions=False)
        headers = {"authorization": f"Bearer {key}"}
        async with httpx2.AsyncClient(transport=transport, base_url="http://testserver", headers=headers) as client:
            return await client.request(method, path, **options)

    return send


@pytest.fixture
def create(ask):
    async def make(*scopes, by=ROOT_KEY, **fields):
        answer = await ask(by, "POST", "/v1/keys", json={"name": "k", "scopes": scopes, **fields})
        return answer.json() if answer.status_code == 201 else answer

    return make


@pytest.fixture
async def other_app(settings, broker, objects):
    """Another process on the same store."""
    app = create_app(settings, broker, objects)
    yield app
    await app.state.parts.admitter.close()


async def test_a_key_is_shown_once(create, ask):
    made = await create("jobs:read", tenant="acme")
    answer = await ask(ROOT_KEY, "GET", "/v1/keys")
    assert made["key"] not in answer.text
    (listed,) = answer.json()["keys"]
    assert listed == {name: value for name, value in made.items() if name != "key"}


async def test_a_key_gives_no_scope_that_it_has_not(create):
    admin = await create("keys:admin", "jobs:read", tenant="acme")
    assert (await create("jobs:read", by=admin["key"]))["tenant"] == "acme"
    assert_problem(await create("jobs:read", "jobs:write", by=admin["key"]), 403, "forbidden", detail="jobs:write")


async def test_only_root_creates_keys_of_other_tenants(create):
    admin = await create("keys:admin", tenant="acme")
    assert_problem(await create("keys:admin", by=admin["key"], tenant="other"), 403, "forbidden", detail="root key")


async def test_root_sees_the_keys_of_all_tenants(create, ask):
    made = [(await create("keys:admin", tenant=tenant)) for tenant in ("acme", "other")]
    assert {key["id"] for key in (await ask(ROOT_KEY, "GET", "/v1/keys")).json()["keys"]} == {key["id"] for key in made}
    seen = (await ask(made[0]["key"], "GET", "/v1/keys")).json()["keys"]
    assert [key["id"] for key in seen] == [made[0]["id"]]


@pytest.mark.parametrize(
    ("fields", "pointer"),
    [
        ({"tenant": "No Tenant"}, "/tenant"),
        ({"tenant": "../x"}, "/tenant"),
        ({"name": ""}, "/name"),
        ({"scopes": ["jobs:all"]}, "/scopes/0"),
        ({"scopes": []}, "/scopes"),
        ({"expires_at": "2020-01-01T00:00:00Z"}, "/expires_at"),
        ({"expires_at": "2030-01-01T00:00:00"}, "/expires_at"),
        ({"key": "mk_mine"}, "/key"),
    ],
)
async def test_a_field_at_fault_is_named(ask, fields, pointer):
    body = {"name": "k", "scopes": ["jobs:read"], **fields}
    assert_problem(await ask(ROOT_KEY, "POST", "/v1/keys", json=body), 422, "invalid-spec", pointer)


async def test_a_revoked_key_is_refused_at_once_by_who_revoked_it(create, ask):
    made = await create("jobs:read")
    assert (await ask(made["key"], "GET", "/v1/jobs")).status_code == 200
    assert (await ask(ROOT_KEY, "DELETE", f"/v1/keys/{made['id']}")).status_code == 204
    assert_problem(await ask(made["key"], "GET", "/v1/jobs"), 401, "unauthenticated")
    assert_problem(await ask(ROOT_KEY, "DELETE", f"/v1/keys/{made['id']}"), 404, "unknown-key")


async def test_a_revoked_key_in_use_is_refused_by_another_process_within_the_bound(create, ask, other_app, monkeypatch):
    monkeypatch.setattr(service.keyring, "REMEMBERED_S", 0.4)
    monkeypatch.setattr(service.keyring, "REFRESH_S", 0.2)
    made = await create("jobs:read")
    assert (await ask(made["key"], "GET", "/v1/jobs", to=other_app)).status_code == 200
    await ask(ROOT_KEY, "DELETE", f"/v1/keys/{made['id']}")
    until = asyncio.get_running_loop().time() + 0.5
    while asyncio.get_running_loop().time() < until:
        answer = await ask(made["key"], "GET", "/v1/jobs", to=other_app)
        await asyncio.sleep(0.02)
    assert_problem(answer, 401, "unauthenticated")


async def test_a_new_key_counts_in_every_process_at_once(create, ask, other_app):
    made = await create("jobs:read")
    assert (await ask(made["key"], "GET", "/v1/jobs", to=other_app)).status_code == 200


async def test_an_expired_key_is_refused_although_it_is_remembered(create, ask):
    until = (datetime.now(UTC) + timedelta(seconds=0.4)).isoformat()
    made = await create("jobs:read", expires_at=until)
    assert (await ask(made["key"], "GET", "/v1/jobs")).status_code == 200
    await asyncio.sleep(0.5)
    assert_problem(await ask(made["key"], "GET", "/v1/jobs"), 401, "unauthenticated")


async def test_all_refused_keys_are_answered_alike(create, ask):
    made = await create("jobs:read")
    await ask(ROOT_KEY, "DELETE", f"/v1/keys/{made['id']}")
    wrong = made["key"][:-4] + "0000"
    answers = [await ask(key, "GET", "/v1/jobs") for key in (made["key"], wrong, "", "root", "mk_x", ROOT_KEY[:-1])]
    assert len({(answer.status_code, answer.text) for answer in answers}) == 1


@pytest.mark.parametrize("header", ["Basic {}", "{}", "Bearer", "bearer  {}"])
async def test_a_key_comes_as_a_bearer_token_alone(app, create, header):
    made = await create("jobs:read")
    transport = httpx2.ASGITransport(app)
    async with httpx2.AsyncClient(transport=transport, base_url="http://testserver") as client:
        answer = await client.get("/v1/jobs", headers={"authorization": header.format(made["key"])})
        assert answer.status_code == 401
        assert (await client.get("/v1/jobs", params={"api_key": made["key"]})).status_code == 401


async def test_the_day_of_the_last_use_is_noted(create, ask, app):
    made = await create("jobs:read")
    await ask(made["key"], "GET", "/v1/jobs")
    while app.state.parts.keyring._noting:
        await asyncio.sleep(0.01)
    (listed,) = (await ask(ROOT_KEY, "GET", "/v1/keys")).json()["keys"]
    assert listed["last_used_on"] == datetime.now(UTC).date().isoformat()


async def test_what_is_remembered_has_a_bound(create, ask, app, monkeypatch):
    monkeypatch.setattr(service.keyring, "MAX_REMEMBERED", 5)
    made = await create("jobs:read")
    for number in range(20):
        await ask(f"mk_{number:016x}_" + "0" * 64, "GET", "/v1/jobs")
        assert len(app.state.parts.keyring._known) <= 5
    assert (await ask(made["key"], "GET", "/v1/jobs")).status_code == 200


async def test_on_a_service_that_asks_for_no_keys_they_can_be_prepared(settings, broker, objects, ask):
    open_app = create_app(settings.model_copy(update={"root_key": None}), broker, objects)
    answer = await ask(
        "", "POST", "/v1/keys", to=open_app, json={"name": "k", "scopes": ["jobs:read"], "tenant": "acme"}
    )
    await open_app.state.parts.admitter.close()
    assert (await ask(answer.json()["key"], "GET", "/v1/jobs")).status_code == 200
