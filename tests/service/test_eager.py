import asyncio

import pytest

from service.eager import within


async def at_once():
    return 7


async def later(seconds):
    await asyncio.sleep(seconds)
    await asyncio.sleep(0)
    return 7


async def stubborn():
    try:
        await asyncio.sleep(60)
    except asyncio.CancelledError:
        await asyncio.sleep(0.01)
        raise


async def failing(seconds):
    await asyncio.sleep(seconds)
    raise ValueError("its own")


async def test_what_is_there_needs_no_timer(monkeypatch):
    monkeypatch.setattr(asyncio, "timeout", None)
    assert await within(0, at_once()) == (7, 0.0)


async def test_what_comes_in_time_is_returned():
    value, waited_s = await within(5, later(0.01))
    assert value == 7
    assert 0.01 <= waited_s < 5


@pytest.mark.parametrize("coroutine", [later, lambda _: stubborn()])
async def test_what_takes_too_long_is_cut_off(coroutine):
    with pytest.raises(TimeoutError):
        await within(0.02, coroutine(60))


@pytest.mark.parametrize("seconds", [0, 0.01])
async def test_its_own_errors_come_through(seconds):
    with pytest.raises(ValueError, match="its own"):
        await within(5, failing(seconds))


async def test_a_caller_that_is_cancelled_ends_it():
    task = asyncio.create_task(within(60, stubborn()))
    await asyncio.sleep(0.01)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
