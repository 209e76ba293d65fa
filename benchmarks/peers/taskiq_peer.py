"""taskiq on Redis streams, with the results in Redis."""

from measuring import COUNTER, URL, measure_async
from redis.asyncio import Redis
from taskiq_redis import RedisAsyncResultBackend, RedisStreamBroker

broker = RedisStreamBroker(URL).with_result_backend(RedisAsyncResultBackend(URL))
counting = Redis.from_url(URL)


@broker.task
async def noop() -> int:
    """Count."""
    return await counting.incr(COUNTER)


async def submit(number: int) -> None:
    """One message each: taskiq has no call for many."""
    for _ in range(number):
        await noop.kiq()


async def call() -> object:
    """Look for the result each millisecond."""
    task = await noop.kiq()
    return await task.wait_result(check_interval=0.001, timeout=60)


if __name__ == "__main__":
    measure_async(submit, call, broker.startup)
