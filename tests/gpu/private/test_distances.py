"""An audit of private_distance as a whole: what one record moves, how wide the noise is, what the answers are of."""

import math
from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gpu.device import Device
from gpu.ops import private_density_query, private_distance
from gpu.ops.private_distance import reference, run
from gpu.private.distances import cosine_table, exact_distances
from gpu.task import Task
from mercer.points import PrivateReference, ReleaseReference
from mercer.privacy.distances.release import DistanceRelease
from mercer.privacy.terms import Box, Neighbours, Terms
from mercer.specs import PrivateDensityQuery, PrivateDistance
from tests.gpu.private.widths import chance_to_miss, is_as_wide_as

CPU = Device("cpu")
BOX = Box([-1, 0], [1, 5])
HOSTILE = [math.nan, math.inf, -math.inf, 1e308, -1e308, -0.0, 5e-324, 1.0, -1.0, 5.0, 2.5]
NUMBERS = st.sampled_from(HOSTILE) | st.floats(-6, 6) | st.floats()
RECORDS = st.lists(st.tuples(NUMBERS, NUMBERS), min_size=1, max_size=6)
CASES = {
    "l1": {"cells": 16},
    "l1 gaussian": {"cells": 32, "delta": 1e-6},
    "lp_p": {"distance": "lp_p", "p": 2.5, "cells": 16},
    "l2": {"distance": "l2", "n_directions": 3, "cells": 16},
    "l2_squared": {"distance": "l2_squared"},
    "l2_squared gaussian": {"distance": "l2_squared", "delta": 1e-6},
    "tree": {"mechanism": "tree", "cells": 16},
    "rings": {"mechanism": "tree_rings", "cells": 16, "delta": 1e-6},
}


def terms(neighbours=Neighbours.ADD_OR_REMOVE_ONE, max_records=10_000):
    return Terms(epsilon=100.0, delta=1e-3, neighbours=neighbours, domain=BOX, max_records=max_records)


def distance(**fields):
    private = PrivateReference(private="0" * 32)
    return PrivateDistance(**{"x": private, "distance": "l1", "epsilon": 1.0, "release_id": "0" * 32, **fields})


def released(spec, records, neighbours=Neighbours.ADD_OR_REMOVE_ONE):
    (answer,) = run([Task(spec, {"x": records}, about={"x": terms(neighbours)})], CPU)
    return answer.array(), answer.facts


def sums(spec, records):
    """The integers to which noise is added."""
    return exact_distances(spec.recipe(terms()), records, CPU)


def exactly(spec, records, at):
    """What the release would say without its noise."""
    return spec.recipe(terms()).estimates(sums(spec, records), at)


def rows(records):
    return np.array(records, np.float64).reshape(-1, 2)


def cloud(n, seed):
    return np.random.default_rng(seed).uniform(BOX.low, BOX.high, (n, 2))


@pytest.mark.parametrize("neighbours", list(Neighbours))
@pytest.mark.parametrize("case", CASES)
@given(records=RECORDS, other=st.tuples(NUMBERS, NUMBERS))
@settings(max_examples=40, deadline=None)
def test_neighbours_differ_by_no_more_than_the_recipe_says(case, neighbours, records, other):
    spec = distance(**CASES[case])
    changed = records[1:] + ([other] if neighbours == Neighbours.CHANGE_ONE else [])
    moved = [int(one) for one in sums(spec, rows(records)) - sums(spec, rows(changed))]
    calibration = spec.recipe(terms(neighbours)).calibration
    assert sum(map(abs, moved)) <= calibration.l1
    assert sum(one**2 for one in moved) <= calibration.l2_squared


@pytest.mark.parametrize(("case", "far"), [("l1", 0.7), ("l1 gaussian", 0.95), ("l2_squared", 0.8), ("tree", 0.9)])
def test_some_record_moves_nearly_as_much_as_the_recipe_says(case, far):
    spec = distance(**CASES[case])
    moved = [sums(spec, record[None]).astype(float) for record in np.vstack([cloud(300, 0), [BOX.low, BOX.high]])]
    calibration = spec.recipe(terms()).calibration
    assert max(np.abs(one).sum() for one in moved) > (far if not spec.delta else 0) * calibration.l1
    assert max((one**2).sum() for one in moved) > (far if spec.delta else 0) * calibration.l2_squared


@pytest.mark.parametrize("cells", [16, 2**14])
def test_no_pair_of_integer_cosines_is_longer_than_one(cells):
    cosines, sines = cosine_table(cells).astype(object)
    assert max(cosines**2 + sines**2) <= 4**30
    angles = np.pi * np.arange(2 * cells) / cells
    np.testing.assert_allclose(cosines.astype(float) / 2**30, np.cos(angles), atol=2.0**-29)
    np.testing.assert_allclose(sines.astype(float) / 2**30, np.sin(angles), atol=2.0**-29)


@pytest.mark.parametrize("case", CASES)
def test_sums_do_not_depend_on_the_order_and_are_those_of_parts(case):
    spec, records = distance(**CASES[case]), cloud(9_000, 1)
    whole = sums(spec, records)
    for seed in range(3):
        order = np.random.default_rng(seed).permutation(len(records))
        cuts = [0, *sorted(np.random.default_rng(seed).integers(0, len(records), 4)), len(records)]
        parts = [sums(spec, records[order][first:last]) for first, last in pairwise(cuts)]
        np.testing.assert_array_equal(np.sum(parts, axis=0), whole)


@pytest.mark.parametrize("case", CASES)
def test_without_noise_answers_are_off_by_at_most_what_they_say(case):
    fields, records = (
        CASES[case],
        np.vstack([cloud(300, 2), rows([BOX.low] * 20 + [BOX.high] * 20 + [(0.3, 3.3)] * 50)]),
    )
    at = np.vstack([cloud(100, 3), records[-3:]])
    for cells in (16, 256, 1_024):
        spec = distance(**(fields | ({"cells": cells} if "cells" in fields else {})))
        found = exactly(spec, records, at)
        error = np.abs(found.sums - reference(spec, records, at))
        if spec.distance != "l2":  # whose directions have an error of their own: its own test
            assert (error <= found.approximation_error).all()
            most = len(records) + 2 * spec.recipe(terms()).count_error
            assert (found.approximation_error <= 1.000001 * most * spec.recipe(terms()).error_per_record).all()
        assert found.records == pytest.approx(len(records), rel=1e-12)


@pytest.mark.parametrize(("p", "rate"), [(1.0, 1.0), (1.5, 1.5), (2.5, 2.0)])
def test_without_noise_answers_converge_as_the_grid_becomes_fine(p, rate):
    """A cell of half the width has at most 2^-rate of the bound, but for the steps of positions."""
    records, at = cloud(500, 4), cloud(100, 5)
    bounds = []
    for cells in (16, 32, 64):
        fields = {"distance": "lp_p", "p": p} if p > 1 else {}
        spec = distance(**fields, cells=cells)
        found = exactly(spec, records, at)
        assert np.abs(found.sums - reference(spec, records, at)).max() <= found.approximation_error.max()
        bounds.append(found.approximation_error.max())
    for coarse, fine in pairwise(bounds):
        assert coarse / fine == pytest.approx(2**rate, rel=0.05)


def test_slices_are_off_by_as_much_as_they_say():
    """Root mean square over seeds and points; a quarter for 40 seeds, and some for records on all sides of a point."""
    records, at = cloud(50, 6) * 0.01, cloud(30, 7)
    for k in (16, 64):
        off, said = [], []
        for seed in range(40):
            spec = distance(distance="l2", n_directions=k, direction_seed=seed, cells=256, delta=1e-6)
            found = exactly(spec, records, at)
            off.append(found.sums - reference(spec, records, at))
            said.append(found.approximation_error)
        assert np.sqrt(np.mean(np.square(off))) == pytest.approx(np.sqrt(np.mean(np.square(said))), rel=0.3)


def test_rings_count_a_record_as_at_most_so_much_farther():
    """The published (1 + alpha): no answer is below the exact one or above its multiple, but for a leaf and a half."""
    records, at = cloud(300, 8), cloud(50, 9)
    for alpha in (0.05, 0.5):
        spec = distance(mechanism="tree_rings", alpha=alpha, cells=4_096)
        found, exact = exactly(spec, records, at).sums, reference(spec, records, at)
        leaf = 1.5 * 7 / 4_096 * len(records) * (1 + alpha)
        assert ((exact - leaf <= found) & (found <= (1 + alpha) * exact + leaf)).all()


@pytest.mark.parametrize("case", CASES)
def test_points_out_of_the_box_are_answered_at_its_border(case):
    found = exactly(distance(**CASES[case]), cloud(20, 10), rows([(-9, 3), (-1, 3), (5, 77), (1, 5)])).sums
    assert found[0] == found[1]
    assert found[2] == found[3]


@pytest.mark.parametrize("case", ["l1", "l1 gaussian", "l2_squared", "rings"])
@pytest.mark.parametrize("neighbours", list(Neighbours))
def test_what_the_vector_is_drawn_around_is_the_exact_sum(case, neighbours):
    spec, records = distance(**CASES[case] | {"epsilon": 20.0}), cloud(30, 11)
    exact = sums(spec, records)
    drawn = np.array([released(spec, records, neighbours)[0] - exact for _ in range(200)])
    deviation = spec.recipe(terms(neighbours)).calibration.deviation
    assert np.abs(drawn.mean(axis=0)).max() < 6 * deviation / math.sqrt(200)


def noise(spec, neighbours=Neighbours.ADD_OR_REMOVE_ONE):
    records = cloud(3, 12)
    return released(spec, records, neighbours)[0] - sums(spec, records)


WIDE = [{"cells": 1_024}, {"cells": 1_024, "mechanism": "tree"}, {"distance": "l2", "n_directions": 8, "cells": 256}]


@pytest.mark.parametrize("neighbours", list(Neighbours))
@pytest.mark.parametrize("delta", [0.0, 1e-6])
@pytest.mark.parametrize("fields", WIDE, ids=["spectral", "tree", "slices"])
def test_the_noise_is_as_wide_as_the_recipe_says(fields, delta, neighbours):
    spec = distance(**fields, delta=delta)
    drawn = noise(spec, neighbours)
    assert is_as_wide_as(drawn, spec.recipe(terms(neighbours)).calibration.scale, delta)
    assert len(set(drawn.tolist())) > 0.99 * len(drawn)


@pytest.mark.parametrize("delta", [0.0, 1e-6])
@pytest.mark.parametrize("planted", [Fraction(1, 2), Fraction(9, 10), Fraction(1, 3)], ids=["half", "tenth", "over n"])
def test_noise_that_is_too_narrow_is_caught(planted, delta, monkeypatch):
    spec = distance(cells=8_192, delta=delta)
    scale = spec.recipe(terms()).calibration.scale
    sampler = "rounded_gaussian" if delta else "discrete_laplace"
    true = getattr(private_distance, sampler)
    monkeypatch.setattr(private_distance, sampler, lambda wanted, size: true(wanted * planted, size))
    drawn = noise(spec)
    assert chance_to_miss(planted, len(drawn), delta) < 1e-9
    assert not is_as_wide_as(drawn, scale, delta)


@pytest.mark.parametrize("case", CASES)
def test_the_scale_is_what_the_loss_is_charged_for(case):
    for neighbours in Neighbours:
        calibration = distance(**CASES[case]).recipe(terms(neighbours)).calibration
        if calibration.delta:
            assert calibration.loss.mu2 * 2.0**-40 >= calibration.l2_squared / calibration.scale**2
        else:
            assert calibration.loss.epsilon * Fraction(1, 10**6) >= calibration.l1 / calibration.scale


@pytest.mark.parametrize("case", CASES)
def test_the_parameters_are_those_of_any_records(case):
    one, two = (released(distance(**CASES[case]), cloud(n, n))[1] for n in (3, 2_500))
    assert one == two


@pytest.mark.parametrize("case", CASES)
def test_the_errors_that_are_told_are_those_of_the_noise(case):
    """Over 2,000 releases at a few points; 15 % are six deviations of a root mean square of Laplace noise."""
    spec, at = distance(**CASES[case]), cloud(4, 13)
    recipe = spec.recipe(terms())
    exact = sums(spec, cloud(10, 14))
    quiet = recipe.estimates(exact, at)
    off = [(recipe.estimates(exact + private_distance.noise(recipe), at).sums - quiet.sums) for _ in range(2_000)]
    measured = np.sqrt(np.mean(np.square(off), axis=0))
    np.testing.assert_allclose(measured / quiet.noise_error, 1, atol=0.15)


def test_sums_of_absolute_differences_err_by_at_most_four_and_a_half_widths_over_epsilon():
    """With grid, truncation and noise: the root mean square of 40 releases is known to 12 %; six times that is allowed.

    The points of one release go together, so that they count as one.
    """
    box = Box([-100], [500])
    one = Terms(epsilon=100.0, neighbours=Neighbours.ADD_OR_REMOVE_ONE, domain=box, max_records=100_000)
    records = np.rint(np.random.default_rng(0).gamma(1.5, 30, (50_000, 1)) - 40)
    at = np.random.default_rng(1).uniform(-100, 500, (100, 1))
    clipped = np.clip(records, -100, 500)
    off = []
    for _ in range(40):
        spec = distance(cells=2_048)
        (answer,) = run([Task(spec, {"x": records}, about={"x": one})], CPU)
        found = DistanceRelease(answer.array(), answer.facts)(at)
        off.append(found.sums - reference(spec, clipped, at))
    assert np.sqrt(np.mean(np.square(off))) < 1.72 * 4.5 * 600
    assert found.noise_error.max() < 4.5 * 600


def test_questions_are_answered_with_the_bits_of_the_release():
    vector, facts = released(distance(), cloud(100, 15))
    points = cloud(50, 16)
    spec = PrivateDensityQuery(release=ReleaseReference(release="0" * 32), points=points)
    (answer,) = private_density_query.run(
        [Task(spec, {"release": vector, "points": points}, about={"release": facts})], CPU
    )
    found = PrivateDensityQuery.answer(answer.array(), answer.facts)
    for asked, offline in zip(found, DistanceRelease(vector, facts)(points), strict=True):
        np.testing.assert_array_equal(asked, offline)


def test_more_records_than_there_may_be_are_refused():
    with pytest.raises(ValueError, match="max_records"):
        exact_distances(distance().recipe(terms(max_records=3)), cloud(4, 0), CPU)
