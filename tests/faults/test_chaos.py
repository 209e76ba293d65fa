"""The checker of `make chaos` finds the fault when a safety is taken away, and nothing when it is there."""

import shutil

import pytest

from benchmarks.chaos import acts
from benchmarks.chaos.nursery import Nursery


@pytest.fixture(scope="module")
def nursery(tmp_path_factory):
    folder = tmp_path_factory.mktemp("nursery")
    with Nursery(folder) as nursery:
        yield nursery
    shutil.rmtree(folder)


def test_a_power_cut_loses_nothing_that_was_accepted_with_appendfsync_always(nursery):
    assert acts.power(nursery, "always", jobs=60).verdict.clean


def test_the_checker_sees_what_a_power_cut_loses_without_fsync(nursery):
    assert acts.power(nursery, "no", jobs=60).verdict.lost > 0


def test_the_checker_sees_a_result_that_changes_without_the_fence(nursery):
    assert acts.zombie(nursery, fenced=False).verdict.changed == 1


def test_the_checker_sees_jobs_twice_without_idempotency_keys(nursery):
    assert acts.lost_replies(nursery, keyed=True, jobs=40).verdict.clean
    assert acts.lost_replies(nursery, keyed=False, jobs=40).verdict.doubly_visible > 0
