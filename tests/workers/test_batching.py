"""One bad job fails alone, and costs few more runs."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workers.batching import bisect, halves


class Runs:
    """An operation that fails when one of the bad jobs is among its jobs, and counts its runs."""

    def __init__(self, bad=()):
        self.bad = set(bad)
        self.seen = []

    def __call__(self, jobs):
        self.seen.append(list(jobs))
        if self.bad & set(jobs):
            raise ValueError(f"{self.bad}")
        return [("ok", job) for job in jobs]


def failed(job, error):
    return ("failed", job)


@given(st.lists(st.integers(), min_size=1))
def test_halves_are_the_jobs_in_order_and_differ_by_at_most_one(jobs):
    first, second = halves(jobs)
    assert first + second == jobs
    assert 0 <= len(first) - len(second) <= 1


def test_good_jobs_run_once_and_together():
    run = Runs()
    assert bisect(range(64), run, failed) == [("ok", job) for job in range(64)]
    assert len(run.seen) == 1


@given(st.integers(1, 64).flatmap(lambda n: st.tuples(st.just(n), st.sets(st.integers(0, n - 1)))))
def test_exactly_the_bad_jobs_fail(case):
    n, bad = case
    outcomes = bisect(range(n), Runs(bad), failed)
    assert outcomes == [("failed" if job in bad else "ok", job) for job in range(n)]


@pytest.mark.parametrize("bad", [0, 17, 63])
def test_one_bad_job_costs_at_most_two_runs_for_each_halving(bad):
    run = Runs([bad])
    bisect(range(64), run, failed)
    assert len(run.seen) <= 1 + 2 * math.log2(64)


def test_what_ends_the_batch_is_no_jobs_failure():
    def run(jobs):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        bisect([1, 2], run, failed)
