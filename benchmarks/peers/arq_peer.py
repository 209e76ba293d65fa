"""arq, looking for work each 10 ms instead of each 500."""

from arq import create_pool
from arq.connections import ArqRedis, RedisSettings
from measuring import COUNTER, URL, measure_async

SETTINGS = RedisSettings.from_dsn(URL)
pools: list[ArqRedis] = []


async def noop(context: dict[str, ArqRedis]) -> int:
    """Count."""
    return await context["redis"].incr(COUNTER)


class Worker:
    """What `arq` runs."""

    functions = (noop,)
    redis_settings = SETTINGS
    poll_delay = 0.01
    max_jobs = 100


async def begin() -> None:
    """Connect."""
    pools.append(await create_pool(SETTINGS))


async def submit(number: int) -> None:
    """One message each: arq has no call for many."""
    for _ in range(number):
        await pools[0].enqueue_job("noop")


async def call() -> object:
    """Look for the result each millisecond."""
    job = await pools[0].enqueue_job("noop")
    assert job is not None
    return await job.result(timeout=60, poll_delay=0.001)


if __name__ == "__main__":
    measure_async(submit, call, begin)
