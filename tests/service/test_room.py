import asyncio

import pytest

from mercer.errors import Unavailable
from service.room import Room


async def held(room, size, until, seen):
    async with room.taken(size):
        seen.append(size)
        await until.wait()


async def test_what_fits_goes_in_at_once_and_the_rest_in_turn():
    room, seen = Room(10), []
    ends = [asyncio.Event() for _ in range(4)]
    tasks = [asyncio.create_task(held(room, size, end, seen)) for size, end in zip((6, 4, 5, 1), ends, strict=True)]
    await asyncio.sleep(0.01)
    assert seen == [6, 4]
    ends[1].set()
    await asyncio.sleep(0.01)
    assert seen == [6, 4], "the small one behind must not starve the large one before it"
    ends[0].set()
    await asyncio.sleep(0.01)
    assert seen == [6, 4, 5, 1]
    for end in ends:
        end.set()
    await asyncio.gather(*tasks)


async def test_more_than_there_is_waits_for_all_of_it():
    room = Room(10)
    async with room.taken(1_000):
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.02), room.taken(1):
                pass
    async with room.taken(10):
        pass


async def test_who_waits_too_long_is_sent_away():
    room = Room(10, patience_s=0.02)
    async with room.taken(10):
        with pytest.raises(Unavailable, match="too many large bodies") as told:
            async with room.taken(1):
                pass
    assert told.value.retry_after_s
    async with room.taken(10):
        pass


async def test_who_goes_away_leaves_the_place_to_the_next():
    room, seen, end = Room(10), [], asyncio.Event()
    async with room.taken(10):
        gone, stays = (asyncio.create_task(held(room, size, end, seen)) for size in (8, 5))
        await asyncio.sleep(0.01)
        gone.cancel()
        await asyncio.gather(gone, return_exceptions=True)
    await asyncio.sleep(0.01)
    assert seen == [5]
    end.set()
    await stays
    async with room.taken(10):
        pass
