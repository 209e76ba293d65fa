import asyncio
import threading

import httpx2
import pytest

from mercer.errors import Unavailable
from mercer.steps import Together, Work
from mercer.transport import AsyncTransport, SyncTransport


def perform(flow, kind):
    """What a flow returns, with blocking calls or with await; it sends nothing."""
    if kind == "sync":
        transport = SyncTransport("http://127.0.0.1:1", 1.0, httpx2.MockTransport(lambda request: None))
        return transport.run(flow)
    return asyncio.run(AsyncTransport("http://127.0.0.1:1", 1.0).run(flow))


def work(function):
    return (yield Work(function))


def refused():
    raise Unavailable("away")
    yield


def together(first, second):
    return (yield Together(first, second))


both = pytest.mark.parametrize("kind", ["sync", "async"])


@both
def test_two_flows_run_at_once(kind):
    meeting = threading.Barrier(2)
    outcome = perform(together(work(lambda: meeting.wait(5) * 0 + 1), work(lambda: meeting.wait(5) * 0 + 2)), kind)
    assert list(outcome) == [1, 2]


@both
def test_one_that_is_refused_does_not_end_the_other(kind):
    first, second = perform(together(refused(), work(lambda: "done")), kind)
    assert isinstance(first, Unavailable)
    assert second == "done"
