"""An audit of private_density as a whole: what one record moves, how wide the noise is, and what the answers are of."""

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from gpu.device import Device
from gpu.ops import private_density
from gpu.ops.private_density import exact, features_of, reference, run
from gpu.task import Task
from mercer.points import PrivateReference
from mercer.privacy.density import DensityRelease
from mercer.privacy.fourier import FourierFeatures
from mercer.privacy.mechanisms.fourier import BITS
from mercer.privacy.terms import Box, Neighbours, Terms
from mercer.specs.private_density import PrivateDensity
from tests.gpu.private.widths import chance_to_miss, is_as_wide_as

CPU = Device("cpu")
BOX = Box([-1, 0], [1, 5])
RELATIONS = list(Neighbours)
KERNELS = [{"family": family, "lengthscale": 0.7} for family in ("gaussian", "exponential", "laplacian_l1")] + [
    {"family": "rational", "of": of, "lengthscale": [0.7, 2.0]} for of in ("l2_squared", "l2", "l1")
]
NAMES = [kernel.get("of", kernel["family"]) for kernel in KERNELS]
HOSTILE = [math.nan, math.inf, -math.inf, 1e308, -1e308, -0.0, 5e-324, 1.0, -1.0, 5.0, 2.5]
NUMBERS = st.sampled_from(HOSTILE) | st.floats(-6, 6) | st.floats()
RECORDS = st.lists(st.tuples(NUMBERS, NUMBERS), min_size=1, max_size=6)


def terms(neighbours=Neighbours.ADD_OR_REMOVE_ONE):
    return Terms(epsilon=100.0, delta=1e-3, neighbours=neighbours, domain=BOX, max_records=10_000)


def density(**fields):
    return PrivateDensity(
        **{
            "x": PrivateReference(private="0" * 32),
            "kernel": KERNELS[0],
            "epsilon": 1.0,
            "mechanism": "fourier",
            "release_id": "0" * 32,
            **fields,
        }
    )


def released(spec, records, neighbours=Neighbours.ADD_OR_REMOVE_ONE):
    (answer,) = run([Task(spec, {"x": records}, about={"x": terms(neighbours)})], CPU)
    return answer.array(), answer.facts


def sums(spec, records):
    """The integers to which noise is added."""
    recipe = spec.recipe(terms())
    return exact(features_of(recipe, {}), recipe, records, CPU)


def rows(records):
    return np.array(records, np.float64).reshape(-1, 2)


@pytest.mark.parametrize("delta", [0.0, 1e-6])
@pytest.mark.parametrize("neighbours", RELATIONS)
@pytest.mark.parametrize("kernel", [KERNELS[0], KERNELS[5]], ids=[NAMES[0], NAMES[5]])
@given(records=RECORDS, other=st.tuples(NUMBERS, NUMBERS), m=st.sampled_from([1, 7, 16, 40]))
@settings(max_examples=40, deadline=None)
def test_neighbours_differ_by_no_more_than_the_recipe_says(kernel, neighbours, delta, records, other, m):
    spec = density(kernel=kernel, n_features=m, delta=delta)
    changed = records[1:] + ([other] if neighbours == Neighbours.CHANGE_ONE else [])
    moved = [int(one) for one in sums(spec, rows(records)) - sums(spec, rows(changed))]
    recipe = spec.recipe(terms(neighbours))
    assert sum(map(abs, moved)) <= recipe.l1
    assert sum(one**2 for one in moved) <= recipe.l2**2


@pytest.mark.parametrize("m", [1, 16, 40])
def test_the_bound_is_met_by_a_record_whose_phases_are_0(m):
    spec = density(n_features=m, delta=1e-6)
    corner = rows([BOX.low])
    moved = [int(one) for one in sums(spec, corner) - sums(spec, corner[:0])]
    l2 = spec.recipe(terms()).l2
    assert (l2 - 1) ** 2 <= sum(one**2 for one in moved) <= l2**2


@pytest.mark.parametrize("neighbours", RELATIONS)
@pytest.mark.parametrize("delta", [0.0, 1e-6])
def test_what_the_vector_is_drawn_around_is_the_exact_sum(delta, neighbours):
    records = np.random.default_rng(0).random((30, 2))
    spec = density(delta=delta, n_features=4, epsilon=20.0)
    exact = sums(spec, records)
    drawn = np.array([released(spec, records, neighbours)[0] - exact for _ in range(400)])
    deviation = float(spec.recipe(terms(neighbours)).scale) * (1 if delta else math.sqrt(2))
    assert np.abs(drawn.mean(axis=0)).max() < 6 * deviation / math.sqrt(400)


def noise(spec, neighbours=Neighbours.ADD_OR_REMOVE_ONE):
    records = np.random.default_rng(0).random((3, 2))
    return released(spec, records, neighbours)[0] - sums(spec, records)


@pytest.mark.parametrize("neighbours", RELATIONS)
@pytest.mark.parametrize("delta", [0.0, 1e-6])
@pytest.mark.parametrize("m", [1_000, 4_000])
def test_the_noise_is_as_wide_as_the_recipe_says(m, delta, neighbours):
    spec = density(n_features=m, delta=delta)
    drawn = noise(spec, neighbours)
    scale = spec.recipe(terms(neighbours)).scale
    assert is_as_wide_as(drawn, scale, delta)
    assert len(set(drawn.tolist())) > 0.99 * len(drawn)


@pytest.mark.parametrize("delta", [0.0, 1e-6])
@pytest.mark.parametrize("planted", [Fraction(1, 2), Fraction(9, 10), Fraction(1, 3)], ids=["half", "tenth", "over n"])
def test_noise_that_is_too_narrow_is_caught(planted, delta, monkeypatch):
    spec = density(n_features=8_000, delta=delta)
    scale = spec.recipe(terms()).scale
    sampler = "rounded_gaussian" if delta else "discrete_laplace"
    true = getattr(private_density, sampler)
    monkeypatch.setattr(private_density, sampler, lambda wanted, size: true(wanted * planted, size))
    drawn = noise(spec)
    assert chance_to_miss(planted, len(drawn), delta) < 1e-9
    assert not is_as_wide_as(drawn, scale, delta)


@pytest.mark.parametrize("delta", [0.0, 1e-6])
def test_each_coordinate_has_noise_of_its_own_and_each_release_too(delta):
    spec = density(n_features=2_000, delta=delta)
    first, second = noise(spec), noise(spec)
    assert (first != second).mean() > 0.99
    assert abs(stats.spearmanr(first, second).statistic) < 6 / math.sqrt(len(first))
    assert abs(stats.spearmanr(first[1:], first[:-1]).statistic) < 6 / math.sqrt(len(first))


@pytest.mark.parametrize("delta", [0.0, 1e-6])
def test_the_scale_is_what_the_loss_is_charged_for(delta):
    for neighbours in RELATIONS:
        spec = density(n_features=50, delta=delta)
        recipe = spec.recipe(terms(neighbours))
        if delta:
            assert recipe.loss.mu2 * 2.0**-40 >= (recipe.l2 / recipe.scale) ** 2
        else:
            assert recipe.loss.epsilon * Fraction(1, 10**6) >= recipe.l1 / recipe.scale


def test_change_one_has_twice_the_noise_of_add_or_remove_one():
    for delta in (0.0, 1e-6):
        one, two = (density(n_features=64, delta=delta).recipe(terms(relation)).scale for relation in RELATIONS)
        assert two / one == pytest.approx(2, rel=1e-4)


@pytest.mark.parametrize("delta", [0.0, 1e-6])
def test_answers_are_of_the_released_numbers_alone(delta):
    """Computed anew in rational arithmetic from the vector and the public parameters."""
    records, at = np.random.default_rng(1).random((20, 2)), np.random.default_rng(2).random((6, 2))
    vector, facts = released(density(n_features=9, delta=delta), records)
    answer = DensityRelease(vector, facts | {"release": "0" * 32})(at)
    drawn = FourierFeatures.draw(facts["spectrum"], np.array(facts["scale"]), BOX, 9, facts["feature_seed"])
    for point, found in zip(drawn.values(at), answer.sums, strict=True):
        integers = [math.trunc(Fraction(value) * 2**BITS) for value in point.tolist()]
        product = sum(a * b for a, b in zip(integers, vector.tolist()[:-1], strict=True))
        assert found == pytest.approx(float(Fraction(product, 9 * 4**BITS)), rel=1e-12)
    assert answer.records == vector[-1] / (facts["count_weight"] * 2**BITS)
    assert not np.allclose(answer.sums, DensityRelease(sums(density(n_features=9), records), facts)(at).sums)


def test_the_parameters_are_those_of_any_records():
    one, two = (released(density(n_features=9), np.random.default_rng(n).random((n, 2)))[1] for n in (3, 2_500))
    assert one == two


@pytest.mark.parametrize("neighbours", RELATIONS)
@pytest.mark.parametrize("delta", [0.0, 1e-6])
def test_the_errors_that_are_told_are_those_of_the_noise(delta, neighbours):
    """The deviation over many points far apart, where the noise is nearly independent."""
    spec = density(n_features=300, delta=delta, kernel={"family": "gaussian", "lengthscale": 0.02})
    records = np.random.default_rng(3).random((10, 2))
    at = np.random.default_rng(4).uniform(BOX.low, BOX.high, (800, 2))
    ratios = []
    for _ in range(5):
        vector, facts = released(spec, records, neighbours)
        with_noise, without = (
            DensityRelease(one, facts | {"release": ""})(at).sums for one in (vector, sums(spec, records))
        )
        ratios.append(np.sqrt(((with_noise - without) ** 2).mean()) / facts["noise_error"])
    assert np.mean(ratios) == pytest.approx(1, abs=0.1)


@pytest.mark.parametrize("kernel", KERNELS, ids=NAMES)
def test_estimates_converge_to_the_kernel_sums(kernel):
    random = np.random.default_rng(5)
    records, at = random.uniform(BOX.low, BOX.high, (200, 2)), random.uniform(BOX.low, BOX.high, (50, 2))
    for m in (64, 1_024, 16_384):
        spec = density(kernel=kernel, n_features=m, epsilon=60.0, delta=1e-4)
        vector, facts = released(spec, records)
        answer = DensityRelease(vector, facts | {"release": ""})(at)
        error = np.sqrt(((answer.sums - reference(spec, records, at)) ** 2).mean())
        stated = np.hypot(answer.noise_error, answer.approximation_error).max()
        assert error < 1.5 * stated + 1e-4 * len(records)
    assert error / len(records) < 0.01
    assert answer.records == pytest.approx(len(records), abs=6 * facts["count_error"])


def test_an_unknown_scale_of_noise_is_refused():
    with pytest.raises(ValueError, match="larger epsilon"):
        density(n_features=16_384, epsilon=1e-6).recipe(terms(Neighbours.CHANGE_ONE)).check()
