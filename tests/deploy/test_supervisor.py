"""When a dead process is started again."""

import pytest

from deploy.supervisor import FIRST_DELAY_S, MAX_DELAY_S, STEADY_S, Ward


class Process:
    name = "process"

    def __init__(self):
        self.running = True
        self.starts = 0

    def start(self):
        self.running = True
        self.starts += 1


@pytest.fixture
def process():
    return Process()


def deaths(ward, process, number, now_s=0.0):
    """Let it die as soon as it was started; the pauses before each start."""
    pauses = []
    for _ in range(number):
        process.running = False
        died_at_s = now_s
        while not process.running:
            ward.look_after(now_s)
            now_s += 1 / 1024  # exact in binary
        pauses.append(now_s - died_at_s)
    return pauses


def test_a_living_process_is_left_alone(process):
    ward = Ward(process, 0.0)
    ward.look_after(1.0)
    assert process.starts == 0


def test_a_dead_process_is_started_after_a_moment(process):
    (pause_s,) = deaths(Ward(process, 0.0), process, 1)
    assert pause_s == pytest.approx(FIRST_DELAY_S, abs=0.01)


def test_one_that_dies_at_once_each_time_is_started_ever_more_seldom(process):
    pauses = deaths(Ward(process, 0.0), process, 10)
    assert pauses == sorted(pauses)
    assert pauses[1] == pytest.approx(2 * FIRST_DELAY_S, abs=0.01)
    assert pauses[-1] == pytest.approx(MAX_DELAY_S, abs=0.01)


def test_one_that_lived_long_is_started_soon_again(process):
    ward = Ward(process, 0.0)
    deaths(ward, process, 10)
    (pause_s,) = deaths(ward, process, 1, now_s=1_000.0 + STEADY_S)
    assert pause_s == pytest.approx(FIRST_DELAY_S, abs=0.01)
