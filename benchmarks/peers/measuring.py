"""How every queue is measured: the same counter, the same clock. Run as `PEER.py NUMBER LATENCIES`; prints JSON.

The address of the server is in PEER_URL. A no-op job adds 1 to a counter in the same server, so that it is known when
all have run, and every queue keeps its result.
"""

import asyncio
import json
import os
import sys
import time
from collections.abc import Awaitable, Callable

import redis

URL = os.environ["PEER_URL"]
COUNTER = "done"
connection = redis.Redis.from_url(URL)


def wait_for(number: int) -> None:
    """Until so many jobs have run."""
    while int(connection.get(COUNTER) or 0) < number:
        time.sleep(0.002)


def measure(submit: Callable[[int], None], call: Callable[[], object]) -> None:
    """Jobs per second, and the time of one job after another from submission to result.

    Args:
        submit: Queues so many no-op jobs.
        call: Runs one and waits for its result.
    """
    number, latencies = int(sys.argv[1]), int(sys.argv[2])
    submit(20)
    wait_for(20)
    for _ in range(5):
        call()
    connection.set(COUNTER, 0)
    start = time.perf_counter()
    submit(number)
    wait_for(number)
    jobs_per_s = number / (time.perf_counter() - start)
    times_ms = []
    for _ in range(latencies):
        start = time.perf_counter()
        call()
        times_ms.append((time.perf_counter() - start) * 1e3)
    print(json.dumps({"jobs_per_s": jobs_per_s, "times_ms": times_ms}))


def measure_async(
    submit: Callable[[int], Awaitable[None]],
    call: Callable[[], Awaitable[object]],
    begin: Callable[[], Awaitable[object]],
) -> None:
    """The same for a queue whose client is asynchronous.

    Args:
        submit: Queues so many no-op jobs.
        call: Runs one and waits for its result.
        begin: Connects.
    """
    with asyncio.Runner() as runner:

        async def finish(step: Awaitable[object]) -> object:
            return await step

        runner.run(finish(begin()))
        measure(lambda number: runner.run(finish(submit(number))), lambda: runner.run(finish(call())))
