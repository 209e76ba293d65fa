"""Where the time of a batch went."""

import time

from workers.stopwatch import Stopwatch


def test_the_time_to_the_next_block_is_computing_and_the_time_with_it_is_not():
    def blocks():
        for number in range(3):
            time.sleep(0.02)
            yield number
        time.sleep(0.02)

    stopwatch = Stopwatch()
    seen = []
    for block in stopwatch.timed(blocks()):
        seen.append(block)
        time.sleep(0.005)
    timings = stopwatch.timings()
    assert seen == [0, 1, 2]
    assert timings["compute_ms"] >= 80
    assert 15 <= timings["transfer_ms"] < 80


def test_what_was_not_computing_was_moving_data():
    stopwatch = Stopwatch()
    time.sleep(0.01)
    with stopwatch.computing():
        time.sleep(0.02)
    timings = stopwatch.timings()
    assert timings["transfer_ms"] >= 10
    assert timings["compute_ms"] >= 20
