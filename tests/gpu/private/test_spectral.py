"""Kernel sums by weighted frequencies of a lattice: series, weights, sensitivity, and the errors that are told."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gpu.device import Device
from gpu.ops import private_density
from gpu.ops.private_density import reference, run
from gpu.private.noise import discrete_laplace, rounded_gaussian
from gpu.task import Task
from mercer.arrays import npy_sha256
from mercer.errors import InvalidArray
from mercer.points import PrivateReference
from mercer.privacy import sigma
from mercer.privacy.density import DensityRelease
from mercer.privacy.lattice import series, turns_to_try, wrapped
from mercer.privacy.mechanisms import candidates
from mercer.privacy.mechanisms.spectral import BITS, COUNTED, SpectralRecipe, lattice
from mercer.privacy.releases import load_release
from mercer.privacy.terms import Box, Neighbours, Terms
from mercer.specs.private_density import PrivateDensity

CPU = Device("cpu")
BOXES = {1: Box([-1], [1]), 2: Box([-1, 0], [1, 5]), 3: Box([-1, 0, 2], [1, 5, 3])}
RELATIONS = list(Neighbours)
KERNELS = {
    "gaussian": {"family": "gaussian"},
    "laplacian_l1": {"family": "laplacian_l1"},
    "rational_l1": {"family": "rational", "of": "l1"},
}
ON_A_LINE = {"exponential": {"family": "exponential"}, "rational_l2": {"family": "rational", "of": "l2"}}
HOSTILE = [math.nan, math.inf, -math.inf, 1e308, -1e308, -0.0, 5e-324, 1.0, -1.0, 5.0, 2.5]
NUMBERS = st.sampled_from(HOSTILE) | st.floats(-6, 6) | st.floats()


def terms(d=2, neighbours=Neighbours.ADD_OR_REMOVE_ONE, max_records=10_000):
    return Terms(epsilon=100.0, delta=1e-3, neighbours=neighbours, domain=BOXES[d], max_records=max_records)


def density(kernel="gaussian", lengthscale=0.7, **fields):
    family = (KERNELS | ON_A_LINE)[kernel] | {"lengthscale": lengthscale}
    wanted = {"kernel": family, "epsilon": 1.0, "mechanism": "spectral", "release_id": "0" * 32, **fields}
    return PrivateDensity(x=PrivateReference(private="0" * 32), **wanted)


def exact(recipe, records):
    """The integers to which noise is added."""
    return private_density.exact(private_density.features_of(recipe, {}), recipe, records, CPU)


def released(spec, records, about):
    (answer,) = run([Task(spec, {"x": records}, about={"x": about})], CPU)
    return DensityRelease(answer.array(), answer.facts | {"release": "0" * 32})


def uniform(d, n, seed):
    return np.random.default_rng(seed).uniform(BOXES[d].low, BOXES[d].high, (n, d))


def function(kernel, z):
    """The kernel function of differences in lengthscales, (n, d)."""
    l1 = np.abs(z).sum(axis=1)
    values = {"gaussian": np.exp(-(z**2).sum(axis=1) / 2), "laplacian_l1": np.exp(-l1), "rational_l1": 1 / (1 + l1)}
    return values[kernel]


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("scales", [(0.05,), (0.4,), (3.0,), (0.1, 0.5), (0.7, 0.7), (0.3, 0.5, 2.0)], ids=str)
def test_a_series_is_the_kernel_function_but_for_what_it_drops_and_wraps(kernel, scales):
    z = np.random.default_rng(0).uniform(-1, 1, (200, len(scales)))
    z[0] = 0
    for turns in turns_to_try(kernel, scales)[::3]:
        found = series(kernel, scales, turns)
        angles = 2 * np.pi * z @ (found.frequencies * np.array(turns) / 4096).T
        value = found.constant + np.cos(angles) @ found.coefficients
        over = value - function(kernel, z / scales)
        dropped = found.total - found.constant - found.coefficients.sum()
        assert dropped > -1e-12
        assert (over >= -dropped - 1e-11).all()
        assert (over <= wrapped(kernel, scales, turns, np.abs(z)) + dropped + 1e-11).all()
        assert (np.diff(found.coefficients) <= 1e-5 * found.coefficients[:-1]).all()


@pytest.mark.parametrize("kernel", KERNELS)
@pytest.mark.parametrize("scales", [(0.3,), (4.0,), (0.2, 0.6)], ids=str)
def test_coefficients_are_cosine_integrals_over_a_period(kernel, scales):
    """By Gauss and Legendre's rule, of the function and its copies."""
    d, turns = len(scales), turns_to_try(kernel, scales)[0]
    periods = 4096 / np.array(turns)
    nodes, weights = np.polynomial.legendre.leggauss(120)
    axes = [(nodes + 1) / 4 * period for period in periods]  # half a period: the function is even
    z = np.stack([one.ravel() for one in np.meshgrid(*axes, indexing="ij")], axis=1)
    weight = np.prod(np.meshgrid(*[weights / 2] * d, indexing="ij"), axis=0).ravel()
    copies = itertools.product(*[range(-8, 9)] * d) if kernel == "gaussian" else [(0,) * d]
    value = sum(function(kernel, (z + np.array(one) * periods) / scales) for one in copies)
    found = series(kernel, scales, turns)
    for k, coefficient in zip(found.frequencies[:12], found.coefficients, strict=False):
        expected = 2 * (weight * value * np.cos(2 * np.pi * z * k / periods).prod(axis=1)).sum()
        assert coefficient == pytest.approx(expected, rel=1e-9, abs=1e-12)
    assert found.constant == pytest.approx((weight * value).sum(), rel=1e-9)


@pytest.mark.parametrize("pure", [True, False])
@pytest.mark.parametrize("kernel", KERNELS)
def test_no_other_weights_have_less_noise(kernel, pure):
    """The sensitivity times the root of the sum of squared gains, of sums and of a part of the number of records."""
    found = series(kernel, (0.3, 0.5), turns_to_try(kernel, (0.3, 0.5))[-1])
    made = lattice(found, 60, pure)
    coefficients = np.append(found.coefficients[:60], math.hypot(found.constant, COUNTED))
    shapes = np.append(np.full(60, math.sqrt(2)), 1.0)

    def noise(weights):
        sensitivity = (shapes * weights).sum() if pure else math.sqrt((weights**2).sum())
        return sensitivity * math.sqrt(((coefficients / weights) ** 2).sum())

    best = noise(made.weights.astype(float))
    random = np.random.default_rng(1)
    for size in (1e-2, 0.1, 1.0):
        for _ in range(50):
            assert noise(made.weights * np.exp(size * random.standard_normal(61))) > best * (1 - 1e-9)


def rows(records):
    return np.array(records, np.float64).reshape(-1, 2)


@pytest.mark.parametrize("delta", [0.0, 1e-6])
@pytest.mark.parametrize("neighbours", RELATIONS)
@pytest.mark.parametrize("kernel", ["gaussian", "rational_l1"])
@given(
    records=st.lists(st.tuples(NUMBERS, NUMBERS), min_size=1, max_size=5),
    other=st.tuples(NUMBERS, NUMBERS),
    m=st.sampled_from([1, 7, 150]),
)
@settings(max_examples=40, deadline=None)
def test_neighbours_differ_by_no_more_than_the_recipe_says(kernel, neighbours, delta, records, other, m):
    recipe = density(kernel, delta=delta, n_features=m).recipe(terms(neighbours=neighbours))
    changed = records[1:] + ([other] if neighbours == Neighbours.CHANGE_ONE else [])
    moved = [int(one) for one in exact(recipe, rows(records)) - exact(recipe, rows(changed))]
    assert sum(map(abs, moved)) <= recipe.l1
    assert sum(one**2 for one in moved) <= recipe.l2**2
    for cosine, sine, norm in zip(moved, moved[recipe.m :], recipe.blocks.norms, strict=False):
        assert cosine**2 + sine**2 <= (norm * (2 if neighbours == Neighbours.CHANGE_ONE else 1)) ** 2


@pytest.mark.parametrize("delta", [0.0, 1e-6])
def test_the_bound_is_met_by_a_record_whose_phases_are_0(delta):
    recipe = density(delta=delta).recipe(terms())
    moved = [int(one) for one in exact(recipe, rows([BOXES[2].low]))]
    assert (recipe.l2 - 1) ** 2 <= sum(one**2 for one in moved) <= recipe.l2**2
    assert max(moved) == 2**BITS


def test_features_are_truncated_products_of_weights_and_cosines():
    recipe, records = density().recipe(terms()), uniform(2, 9, 3)
    values = recipe.features().values(records)
    weights = np.tile(recipe.lattice.weights[:-1], 2)
    sums = np.trunc(values * weights).astype(np.int64).sum(axis=0)
    assert np.array_equal(exact(recipe, records), np.append(sums, 9 * recipe.count_norm))


@pytest.mark.parametrize("delta", [0.0, 1e-6])
@pytest.mark.parametrize(
    ("kernel", "d", "lengthscale"),
    [
        *itertools.product(KERNELS, (1, 2, 3), (0.3, 2.0)),
        *itertools.product(ON_A_LINE, (1,), (0.1, 9.0)),
        ("gaussian", 2, 900.0),
        ("gaussian", 1, 0.001),
    ],
)
def test_without_noise_answers_are_the_kernel_sums_within_the_bound(kernel, d, lengthscale, delta):
    spec, about = density(kernel, lengthscale, delta=delta), terms(d)
    records = np.concatenate([uniform(d, 200, 4), np.repeat([BOXES[d].high], 20, axis=0)])
    at = np.concatenate([uniform(d, 60, 5), records[:9], [BOXES[d].low, BOXES[d].high]])
    facts = released(spec, records, about).parameters | {"count_error": 0.0}
    found = SpectralRecipe.estimates(exact(spec.recipe(about), records), facts, at)
    assert (np.abs(found.sums - reference(spec, records, at)) <= found.approximation_error).all()
    assert found.records == len(records)
    if kernel == "gaussian" and d < 3:
        assert np.median(found.approximation_error) < max(2e-4 * len(records), 0.3 * found.noise_error[0])


def test_what_the_grid_moves_is_within_the_bound_and_most_of_it():
    """Of a kernel function of 500 steps, with all records at one place and the point where it is steepest."""
    spec, about = density(lengthscale=0.001, epsilon=500.0), terms(1)
    recipe, facts = spec.recipe(about), released(spec, uniform(1, 3, 0), about).parameters | {"count_error": 0.0}
    parts = []
    for place in uniform(1, 40, 10):
        records, at = np.repeat([place], 50, axis=0), np.array([place + 0.001])
        found = SpectralRecipe.estimates(exact(recipe, records), facts, at)
        parts.append(float(np.abs(found.sums - reference(spec, records, at))[0] / found.approximation_error[0]))
    assert 0.5 < max(parts) <= 1


@pytest.mark.parametrize("neighbours", RELATIONS)
@pytest.mark.parametrize("delta", [0.0, 1e-6])
def test_the_noise_in_answers_is_as_wide_as_predicted(delta, neighbours):
    """Within 5 % over 7,500 draws, which are six deviations of the measured one; at every point and of the count."""
    spec, about = density(lengthscale=1.5, delta=delta), terms(neighbours=neighbours)
    recipe = spec.recipe(about)
    facts = released(spec, uniform(2, 3, 6), about).parameters
    at = np.array([[-1.0, 0.0], [0.3, 2.0], [1.0, 5.0]])
    sampler = rounded_gaussian if delta else discrete_laplace
    draws = sampler(recipe.scale, 7_500 * recipe.size).reshape(7_500, -1)
    answers = [SpectralRecipe.estimates(one, facts, at) for one in draws]
    sums = np.sqrt(np.mean([answer.sums**2 for answer in answers], axis=0))
    assert sums.mean() == pytest.approx(recipe.noise_error, rel=0.05)
    assert sums == pytest.approx(answers[0].noise_error, rel=0.08)
    counts = np.sqrt(np.mean([answer.records**2 for answer in answers]))
    assert counts == pytest.approx(recipe.count_error, rel=0.12)


@pytest.mark.parametrize("neighbours", RELATIONS)
@pytest.mark.parametrize("kernel", KERNELS)
def test_the_noise_is_that_of_the_formulas(kernel, neighbours):
    factor = 2 if neighbours == Neighbours.CHANGE_ONE else 1
    pure, gaussian = (density(kernel, delta=delta).recipe(terms(neighbours=neighbours)) for delta in (0.0, 1e-6))
    for recipe in (pure, gaussian):
        found = series(kernel, (0.35, 0.14), recipe.turns)
        coefficients, weight = found.coefficients[: recipe.m], math.hypot(found.constant, COUNTED)
        if recipe is gaussian:
            pairs = coefficients.sum()
            expected = sigma(1.0, 1e-6) * math.sqrt((pairs + weight) * (pairs + found.constant**2 / weight))
        else:
            pairs, weight = ((math.sqrt(2) * coefficients) ** (2 / 3)).sum(), weight ** (2 / 3)
            expected = math.sqrt(2) * (pairs + weight) * math.sqrt(pairs + (found.constant / weight) ** 2)
        assert recipe.noise_error == pytest.approx(factor * expected, rel=1e-3)
    assert gaussian.noise_error < 4.2247 * factor * (1 + COUNTED / 2)


@pytest.mark.parametrize("delta", [0.0, 1e-6])
def test_means_are_not_spoilt_by_the_noise_in_the_number_of_records(delta):
    for lengthscale in (0.05, 0.2, 1.0):
        recipe = density(lengthscale=lengthscale, delta=delta).recipe(terms())
        assert COUNTED * recipe.count_error < recipe.noise_error


def test_less_noise_takes_more_frequencies():
    sizes = [density(epsilon=epsilon).recipe(terms(max_records=10**6)).m for epsilon in (0.01, 0.1, 1.0, 10.0)]
    assert sizes == sorted(sizes)
    assert sizes[0] < sizes[-1]
    assert density(n_features=5).recipe(terms()).m <= 5


@pytest.mark.parametrize("delta", [0.0, 1e-6])
def test_a_release_that_was_saved_answers_with_the_same_bits(delta, tmp_path):
    at = uniform(2, 1_500, 8)
    made = released(density("rational_l1", delta=delta), uniform(2, 50, 7), terms())
    release = DensityRelease(made.vector, made.parameters | {"vector_sha256": npy_sha256(made.vector)})
    answer = release(at)
    again = load_release(release.save(tmp_path / "release.npz"))(at)
    for one, other in zip(answer, again, strict=True):
        assert np.array_equal(one, other)
    parts = [release(at[i : i + 1]).sums[0] for i in range(0, 1_500, 100)]
    assert np.array_equal(answer.sums[::100], parts)


def test_another_lattice_than_the_release_was_made_with_is_refused():
    release = released(density(), uniform(2, 5, 9), terms())
    with pytest.raises(InvalidArray, match="lattice"):
        DensityRelease(release.vector, release.parameters | {"lattice_sha256": "0" * 64})(uniform(2, 3, 0))


def test_the_parameters_are_those_of_any_records():
    one, two = (released(density(), uniform(2, n, n), terms()).parameters for n in (3, 2_500))
    assert one == two


def test_the_planner_takes_the_least_predicted_error_and_says_why():
    for kernel, lengthscale in (("gaussian", 0.7), ("laplacian_l1", 0.02), ("exponential", 1.0)):
        spec = density(kernel, lengthscale, mechanism="auto", delta=1e-6)
        recipe = spec.recipe(terms())
        others = candidates(spec.request(terms()))
        able = [one.predicted_error for one in others.values() if not isinstance(one, str)]
        assert recipe.predicted_error == min(able)
        assert recipe.name == ("spectral" if kernel == "gaussian" else "fourier")
    assert "expected at most 3 dimensions" in others["spectral"]


@pytest.mark.parametrize(
    ("kernel", "lengthscale", "why"), [("exponential", 1.0, "kernel function"), ("gaussian", 1e6, "at most 512 sides")]
)
def test_what_has_no_series_is_refused(kernel, lengthscale, why):
    with pytest.raises(ValueError, match=why):
        density(kernel, lengthscale).recipe(terms())


def test_the_price_is_that_of_the_request_whatever_the_mechanism():
    for delta in (0.0, 1e-6):
        spectral, fourier = (density(mechanism=one, delta=delta).recipe(terms()) for one in ("spectral", "fourier"))
        assert spectral.loss == fourier.loss
        if delta:
            for recipe in (spectral, fourier):
                assert recipe.loss.mu2 * 2.0**-40 >= (recipe.l2 / recipe.scale) ** 2
        else:
            assert spectral.l1 / spectral.scale <= 1
