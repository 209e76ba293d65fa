"""How a worker ends."""

import os
import signal

import pytest

from workers.drain import SIGNAL, Drain


@pytest.fixture
def drain():
    kept = signal.getsignal(SIGNAL)
    yield Drain(grace_s=60.0)
    signal.signal(SIGNAL, kept)


def test_nothing_ends_before_it_is_told():
    drain = Drain(grace_s=0.0)
    assert not drain.begun
    assert not drain.over


def test_a_signal_begins_the_drain_and_leaves_the_batch_its_grace(drain):
    drain.on_signal()
    os.kill(os.getpid(), SIGNAL)
    assert drain.begun
    assert not drain.over


def test_a_second_signal_ends_the_grace(drain):
    drain.on_signal()
    os.kill(os.getpid(), SIGNAL)
    os.kill(os.getpid(), SIGNAL)
    assert drain.over


def test_the_grace_ends_by_itself():
    drain = Drain(grace_s=0.0)
    drain.begin()
    assert drain.over
