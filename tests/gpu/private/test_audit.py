"""Releases are audited from the inside, exactly, and from the outside, by samples; and planted bugs are caught by both.

Bounds from samples are wrong with a probability of 1e-10 each. With 100,000 of them the bound of what a planted bug
loses is above what was charged by many times its own deviation.
"""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks import private_audit as audit
from benchmarks.auditing import Realised, Unsound, realised, taken_apart
from gpu.ops import private_density
from mercer.privacy.terms import Neighbours

TRIALS, DOUBT = 100_000, 1e-10
RUNS = 150
"""Of releases that are made one by one: enough where what is planted tells neighbours apart nearly each time."""
CASES = list(audit.cases())
ADDED = [case for case in CASES if case.neighbours == Neighbours.ADD_OR_REMOVE_ONE]
LOOSE = (
    "2 landmarks, Laplace",
    "l1, spectral, Laplace",
    "l2 squared, moments, Laplace",
    "spectral, at most 4, Laplace",
)
TIGHT = [case for case in ADDED if not case.name.startswith(LOOSE)]
"""No record comes near the L1 bound of the others, so that twice what one of them does may be below it."""
SIMPLEST = [case for case in ADDED if "m = 1," in case.name]
HOSTILE = [np.nan, np.inf, -np.inf, 1e308, -1e308, -0.0, 5e-324, 0.0, 1.0]
NUMBERS = st.sampled_from(HOSTILE) | st.floats(-1, 2) | st.floats()


@pytest.fixture(autouse=True)
def few(monkeypatch):
    monkeypatch.setattr(audit, "N_RUNS", RUNS)
    monkeypatch.setattr(audit, "N_CANDIDATES", 21)


every_case = pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)


@pytest.fixture(params=SIMPLEST, ids=lambda case: case.name)
def simplest(request):
    return request.param


def lost(seen, case):
    """As a part of what was charged."""
    return seen.bound.mu / seen.charged.mu if case.delta else seen.bound.epsilon / seen.charged.epsilon


@every_case
def test_the_worst_neighbours_lose_what_was_charged_and_no_more(case):
    trials = TRIALS if case in SIMPLEST else TRIALS // 10
    assert audit.audited(case, audit.worst(case, case.neighbours), trials, DOUBT).sound(case)


@every_case
@settings(max_examples=8, deadline=None)
@given(records=st.lists(NUMBERS, min_size=1, max_size=4), other=NUMBERS)
def test_no_neighbours_lose_more_than_was_charged(case, records, other):
    changed = records[1:] + ([other] if case.neighbours == Neighbours.CHANGE_ONE else [])
    one, two = (taken_apart(case.release(np.array(given).reshape(-1, 1))) for given in (records, changed))
    assert realised(one, two).within(case.charged)


@pytest.mark.parametrize("case", ADDED, ids=lambda case: case.name)
def test_all_that_is_published_is_made_of_noisy_numbers(case):
    assert audit.made_of_noisy_numbers(case, audit.worst(case, case.neighbours))


def test_what_is_published_of_exact_numbers_is_found(simplest, monkeypatch):
    true = private_density.run

    def telling(tasks, device):
        (answer,) = true(tasks, device)
        answer.facts["n"] = len(tasks[0].arrays["x"])
        return [answer]

    monkeypatch.setattr(private_density, "run", telling)
    assert not audit.made_of_noisy_numbers(simplest, audit.worst(simplest, simplest.neighbours))


def test_an_audit_is_sharp(simplest):
    """Otherwise it would see no bug."""
    seen = audit.audited(simplest, audit.worst(simplest, simplest.neighbours), TRIALS, DOUBT)
    assert audit.loss_of(simplest, seen.inside) > 0.95
    assert lost(seen, simplest) > 0.7


@pytest.mark.parametrize("bug", audit.PLANTED)
def test_a_planted_bug_is_found_inside(simplest, bug):
    pair = audit.worst(simplest, simplest.neighbours)
    made = [audit.PLANTED[bug](simplest.release(records), len(records)) for records in pair]
    found = audit.inside(made)
    assert not isinstance(found, Realised) or not found.within(simplest.charged)


def test_half_the_scale_is_seen_outside(simplest):
    pair = audit.worst(simplest, simplest.neighbours)
    seen = audit.audited(simplest, pair, TRIALS, DOUBT, audit.PLANTED["half the scale"])
    assert lost(seen, simplest) > 1.5


@pytest.mark.parametrize("bug", ["the scale over n", "n in the sensitivity", "a count without noise"])
def test_a_planted_bug_is_seen_outside(simplest, bug):
    pair = audit.worst(simplest, simplest.neighbours)
    seen = audit.audited(simplest, pair, RUNS, DOUBT, audit.PLANTED[bug])
    assert seen.bound.epsilon > 1.2


@pytest.mark.parametrize("case", TIGHT, ids=lambda case: case.name)
def test_change_one_charged_as_add_or_remove_one_is_found_inside(case):
    one, other = audit.worst(case, Neighbours.CHANGE_ONE)
    assert not audit.inside([case.release(one), case.release(other)]).within(case.charged)


def test_answers_lose_no_more_than_the_release(simplest):
    pair = audit.worst(simplest, simplest.neighbours)
    assert audit.answers(simplest, pair, RUNS, DOUBT).epsilon <= 1


def test_answers_without_noise_are_seen(simplest):
    pair = audit.worst(simplest, simplest.neighbours)
    assert audit.answers(simplest, pair, RUNS, DOUBT, noisy=False).epsilon > 1.2


def test_noise_that_two_numbers_share_is_found(simplest):
    release = simplest.release(np.array([[0.5]]))
    (exact, *_), moved = taken_apart(release), np.array([0, 0, 2])

    def shared():
        return exact + (release() - exact)[moved]

    with pytest.raises(Unsound, match="a draw of its own"):
        taken_apart(shared)
