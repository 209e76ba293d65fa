import asyncio

import pytest


async def test_a_bucket_is_full_at_first_and_never_more(service):
    assert await service.lease_tokens("k", 10, 5, 3) == (3, 0)
    assert await service.lease_tokens("k", 10, 5, 3) == (2, 0)
    await service.lease_tokens("fast", 1_000, 5, 5)
    await asyncio.sleep(0.05)
    assert await service.lease_tokens("fast", 1_000, 5, 50) == (5, 0)


async def test_an_empty_bucket_says_when_there_is_a_token(service):
    await service.lease_tokens("k", 2, 5, 5)
    leased, wait_ms = await service.lease_tokens("k", 2, 5, 1)
    assert leased == 0
    assert 400 < wait_ms <= 500
    await asyncio.sleep(wait_ms / 1000 + 0.01)
    assert (await service.lease_tokens("k", 2, 5, 5))[0] == 1


async def test_each_key_has_a_bucket_of_its_own(service):
    await service.lease_tokens("k", 1, 5, 5)
    assert await service.lease_tokens("other", 1, 5, 5) == (5, 0)


@pytest.mark.parametrize("rate", [20.0, 200.0])
async def test_a_bucket_fills_at_its_rate(service, rate):
    await service.lease_tokens("k", rate, 1_000, 1_000)
    began, leased = asyncio.get_running_loop().time(), 0
    while asyncio.get_running_loop().time() < began + 0.5:
        leased += (await service.lease_tokens("k", rate, 1_000, 50))[0]
        await asyncio.sleep(0.01)
    passed_s = asyncio.get_running_loop().time() - began
    assert rate * 0.4 < leased <= rate * (passed_s + 0.02)


async def test_a_full_bucket_is_forgotten(service, redis, keys):
    await service.lease_tokens("k", 1_000, 100, 50)
    assert 0 < redis.pttl(*keys("rate:")) <= 1_100
