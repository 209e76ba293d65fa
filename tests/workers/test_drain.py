"""How a worker ends."""

import os
import signal

import pytest

from workers.drain import Drain


@pytest.fixture
def drain():
    kept = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    yield Drain(grace_s=60.0)
    for number, handler in kept.items():
        signal.signal(number, handler)


def test_nothing_ends_before_it_is_told():
    drain = Drain(grace_s=0.0)
    assert not drain.begun
    assert not drain.over


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_begins_the_drain_and_leaves_the_batch_its_grace(drain, number):
    drain.on_signals()
    os.kill(os.getpid(), number)
    assert drain.begun
    assert not drain.over


def test_a_second_signal_ends_the_grace(drain):
    drain.on_signals()
    os.kill(os.getpid(), signal.SIGINT)
    os.kill(os.getpid(), signal.SIGINT)
    assert drain.over


def test_the_grace_ends_by_itself():
    drain = Drain(grace_s=0.0)
    drain.begin()
    assert drain.over
