"""Limits of requests for each key: shared by all processes, without a round trip for most requests."""

import asyncio

import httpx2
import pytest
from pydantic import SecretStr

from broker.limits import Limits
from broker.service_broker import ServiceBroker
from mercer.errors import RateLimited
from service.app import create_app
from service.rates import RateLimits
from tests.service.conftest import assert_problem

ROOT_KEY = "root-key-of-the-tests-" + "0" * 32


async def spent(limits, key, number):
    """How many of so many requests passed."""
    done = await asyncio.gather(*(limits.spend(key) for _ in range(number)), return_exceptions=True)
    assert {type(one) for one in done} <= {type(None), RateLimited}
    return done.count(None)


async def test_processes_share_what_a_key_may_send(broker):
    limits = [RateLimits(broker, rate=1, burst=40) for _ in range(2)]
    passed = await asyncio.gather(*(spent(one, "k", 40) for one in limits))
    assert sum(passed) == 40
    assert all(passed)


async def test_keys_do_not_share(broker):
    limits = RateLimits(broker, rate=1, burst=8)
    assert [await spent(limits, key, 10) for key in ("a", "b")] == [8, 8]


async def test_most_requests_ask_redis_nothing(broker, monkeypatch):
    asked = []
    lease = broker.lease_tokens
    monkeypatch.setattr(broker, "lease_tokens", lambda *args: asked.append(args) or lease(*args))
    assert await spent(RateLimits(broker, rate=1_000, burst=2_000), "k", 500) == 500
    assert len(asked) == 10


async def test_a_refused_key_asks_redis_no_more_until_there_is_a_token(broker, monkeypatch):
    limits = RateLimits(broker, rate=1, burst=4)
    await spent(limits, "k", 5)
    monkeypatch.delattr(type(broker), "lease_tokens")
    assert await spent(limits, "k", 100) == 0


async def test_while_redis_is_away_nothing_is_limited():
    away = ServiceBroker(
        "unix:///nowhere.sock", namespace="x", result_ttl_s=1, idempotency_ttl_s=1, limits=Limits(1, 1, 0.8)
    )
    assert await spent(RateLimits(away, rate=1, burst=4), "k", 50) == 50
    await away.close()


@pytest.fixture
async def limited(settings, broker, objects):
    few = {"root_key": SecretStr(ROOT_KEY), "key_rate": 0.5, "key_burst": 3}
    app = create_app(settings.model_copy(update=few), broker, objects)
    transport = httpx2.ASGITransport(app)
    headers = {"authorization": f"Bearer {ROOT_KEY}"}
    async with httpx2.AsyncClient(transport=transport, base_url="http://testserver", headers=headers) as client:
        yield client
    await app.state.parts.admitter.close()


async def test_too_many_requests_are_told_when_to_come_again(limited):
    answers = [await limited.get("/v1/kernels") for _ in range(4)]
    assert [answer.status_code for answer in answers[:3]] == [200] * 3
    assert_problem(answers[3], 429, "rate-limited", detail="at most 0.5 requests a second with one key, 3 at once")
    assert answers[3].headers["retry-after"] == "2"
    assert (await limited.get("/livez")).status_code == 200


async def test_after_the_pause_that_was_asked_for_a_request_passes(limited):
    while (answer := await limited.get("/v1/kernels")).status_code == 200:
        pass
    await asyncio.sleep(int(answer.headers["retry-after"]))
    assert (await limited.get("/v1/kernels")).status_code == 200
