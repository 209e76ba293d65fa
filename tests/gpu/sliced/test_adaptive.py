import pytest

from gpu.sliced.adaptive import DECAY, first, following, level
from gpu.sliced.directions import Layout
from gpu.sliced.estimators import Mean

SAMPLINGS = [("mc", 5), ("orthogonal", 5), ("spiral", 3), ("lebedev", 3), ("equispaced", 2)]
every_sampling = pytest.mark.parametrize(("sampling", "d"), SAMPLINGS)


def test_all_looks_together_miss_no_more_than_one_in_twenty():
    assert sum(level(look) for look in range(1, 60)) == pytest.approx(0.05)


@every_sampling
def test_the_first_round_has_eight_replicates_at_least(sampling, d):
    assert first(sampling, d, 1, 10_000).replicates >= 8


@every_sampling
@pytest.mark.parametrize("limit", [1, 5, 10, 39, 103, 128])
def test_no_round_is_beyond_the_limit(sampling, d, limit):
    shape = first(sampling, d, 1, limit)
    assert shape is None or (shape.n <= limit and shape.replicates >= 2)
    last = Layout(8, 13 if sampling not in ("mc", "orthogonal") else 1)
    later = following(sampling, last, Mean(1.0, 1.0, 7), 1e-6, 1, limit)
    assert later is None or later.n <= limit


@every_sampling
def test_the_next_round_is_as_large_as_the_error_says(sampling, d):
    """Twice the error asks for 2^(1 / decay) times the directions, but for the margin and the granularity of rules."""
    last = first(sampling, d, 1, 10_000)
    wide, narrow = (
        following(sampling, last, Mean(1.0, error, last.replicates - 1), 0.1, 1, 10**9) for error in (0.8, 0.4)
    )
    assert wide.n / narrow.n == pytest.approx(2 ** (1 / DECAY[sampling]), rel=0.25)


def test_an_estimate_without_an_error_asks_for_as_many_as_a_round_may_have():
    assert following("mc", Layout(1, 1), Mean(1.0, None, 0), 0.1, 1, 10**6) == Layout(999, 1)


def test_a_rule_that_cannot_grow_any_more_is_the_end():
    assert following("lebedev", Layout(4, 2_905), Mean(1.0, 1.0, 3), 1e-9, 2, 10**9) is None
