"""Dramatiq, one process of eight threads."""

import dramatiq
from dramatiq.brokers.redis import RedisBroker
from dramatiq.results import Results
from dramatiq.results.backends import RedisBackend
from measuring import COUNTER, URL, connection, measure

broker = RedisBroker(url=URL)
broker.add_middleware(Results(backend=RedisBackend(url=URL)))
dramatiq.set_broker(broker)


@dramatiq.actor(max_retries=0, store_results=True)
def noop() -> int:
    """Count."""
    return connection.incr(COUNTER)


def submit(number: int) -> None:
    """One message each: Dramatiq has no call for many."""
    for _ in range(number):
        noop.send()


if __name__ == "__main__":
    measure(submit, lambda: noop.send().get_result(block=True, timeout=60_000))
