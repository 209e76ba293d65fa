"""The public half of private distances: cosines on grids, trees, calibration and what is refused."""

import json
import math
from decimal import Decimal

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from mercer.arrays import npy_sha256
from mercer.errors import InvalidArray, InvalidSpec
from mercer.points import PrivateReference
from mercer.privacy.distances import MECHANISMS
from mercer.privacy.distances.axes import Axes, slicing_factor
from mercer.privacy.distances.cosines import cosines_of_power, cube_root, power, total, transform
from mercer.privacy.distances.haar import consistent_leaves, sign_variance
from mercer.privacy.distances.release import NEEDED, DistanceRelease, recipe_of
from mercer.privacy.distances.request import Request
from mercer.privacy.distances.tree import interval
from mercer.privacy.releases import load_release
from mercer.privacy.terms import Box, Neighbours, Terms, public_info
from mercer.specs import PrivateDistance

ONE_SIDE = Box([-100], [500])
EPS = np.finfo(float).eps


def distance(**fields):
    private = PrivateReference(private="0" * 32)
    return PrivateDistance(**{"x": private, "distance": "l1", "epsilon": 1.0, **fields})


def terms(domain=ONE_SIDE, max_records=1_000, neighbours=Neighbours.ADD_OR_REMOVE_ONE):
    return Terms(epsilon=10.0, delta=1e-3, neighbours=neighbours, domain=domain, max_records=max_records)


def recipe(domain=ONE_SIDE, **fields):
    return distance(**fields).recipe(terms(domain))


@pytest.mark.parametrize("p", [1.0, 1.3, 2.0, 3.5])
@pytest.mark.parametrize("cells", [2, 64, 1_024])
def test_cosines_give_the_power_at_every_grid_point(p, cells):
    at = np.arange(-cells, cells + 1) / cells
    constant, frequencies, coefficients = cosines_of_power(p, cells)
    found = constant + np.cos(np.pi * np.outer(at, frequencies)) @ coefficients
    np.testing.assert_allclose(found, np.abs(at) ** p, rtol=0, atol=2.0**-42)  # sines are within 2^-44


def test_the_closed_form_of_absolute_values_is_their_transform():
    """And tends to -4 / (pi k)^2, the Fourier series."""
    at = np.arange(256) / 256
    spectrum = np.fft.rfft(np.concatenate([at, 1 - at])).real / 256
    _, frequencies, coefficients = cosines_of_power(1.0, 256)
    np.testing.assert_allclose(coefficients, spectrum[frequencies], atol=1e-15)
    _, frequencies, coefficients = cosines_of_power(1.0, 2**14)
    np.testing.assert_allclose(coefficients[:50], -4 / (np.pi * frequencies[:50]) ** 2, rtol=1e-4)


@pytest.mark.parametrize("n", [1, 2, 16, 512])
def test_the_transform_is_fouriers(n):
    real, imaginary = np.random.default_rng(n).normal(size=(2, n))
    found = transform(real, imaginary)
    exact = np.fft.ifft(real + 1j * imaginary) * n
    np.testing.assert_allclose(found[0] + 1j * found[1], exact, atol=1e-12 * n)


@given(st.floats(1e-300, 1e300))
def test_cube_roots_are_cube_roots(value):
    assert cube_root(np.array([value]))[0] == pytest.approx(math.cbrt(value), rel=4 * EPS)


@given(st.lists(st.integers(-(2**40), 2**40), max_size=70))
def test_totals_are_sums(numbers):
    assert total(np.array(numbers, np.float64)) == sum(numbers)


@given(st.floats(0, 1e6), st.floats(1, 16))
def test_powers_are_those_of_floats(base, exponent):
    assert power(Decimal(base), exponent) == pytest.approx(base**exponent, rel=1e-13)


@pytest.mark.parametrize("d", [2, 3, 17])
def test_slices_give_the_length_of_a_vector_on_average(d):
    normal = np.random.default_rng(d).normal(size=(200_000, d))
    first = np.abs(normal[:, 0]) / np.linalg.norm(normal, axis=1)
    assert slicing_factor(d) * first.mean() == pytest.approx(1, abs=6 * slicing_factor(d) * first.std() / 200_000**0.5)


def test_a_box_lies_within_its_intervals_on_all_directions():
    domain = Box([-1, 0, 2], [1, 5, 2.5])
    axes = Axes.of(distance(distance="l2").request(terms(domain)))
    corners = np.array(np.meshgrid(*zip(domain.low, domain.high, strict=True))).reshape(3, -1).T
    seen = corners @ axes.directions
    np.testing.assert_allclose(seen.min(axis=0), axes.intervals.low, atol=1e-12)
    np.testing.assert_allclose(seen.max(axis=0), axes.intervals.high, atol=1e-12)


def heap(leaves):
    """All sums of a tree, the root at 1."""
    nodes = np.concatenate([np.zeros(len(leaves)), leaves])
    for index in range(len(leaves) - 1, 0, -1):
        nodes[index] = nodes[2 * index] + nodes[2 * index + 1]
    return nodes


@given(st.integers(0, 32), st.integers(0, 32))
def test_intervals_are_sums_of_leaves_by_few_nodes(low, high):
    leaves = np.random.default_rng(0).integers(0, 100, 32).astype(float)
    sums, nodes = interval(heap(leaves), np.array([low]), np.array([high]))
    assert sums[0] == leaves[low:high].sum()
    assert nodes[0] <= min(2 * 4, max(high - low, 0))


def incidence(size):
    """(2 G - 1, G): which leaves are in which node, from the root on."""
    return np.array([heap(leaf)[1:] for leaf in np.eye(size)]).T


@pytest.mark.parametrize("size", [1, 2, 16])
def test_consistent_leaves_are_those_of_least_squares(size):
    nodes = np.random.default_rng(size).normal(size=2 * size - 1)
    best = np.linalg.lstsq(incidence(size), nodes)[0]
    np.testing.assert_allclose(consistent_leaves(np.append(0.0, nodes)), best, atol=1e-12)


@pytest.mark.parametrize("size", [1, 2, 16])
def test_the_variance_of_a_cut_is_that_of_least_squares(size):
    inverse = np.linalg.inv(incidence(size).T @ incidence(size))
    signs = np.where(np.arange(size) < np.arange(size + 1)[:, None], 1.0, -1.0)
    np.testing.assert_allclose(sign_variance(size), np.einsum("bi,ij,bj->b", signs, inverse, signs), atol=1e-12)


CASES = {
    "l1": {},
    "l1 gaussian": {"delta": 1e-6},
    "lp_p": {"distance": "lp_p", "p": 1.5},
    "l2": {"distance": "l2", "n_directions": 5},
    "l2_squared": {"distance": "l2_squared"},
    "moments": {"distance": "lp_p", "p": 2.0},
    "tree": {"mechanism": "tree"},
    "consistent": {"mechanism": "tree", "consistent": True},
    "rings": {"mechanism": "tree_rings"},
    "squared rings": {"distance": "lp_p", "p": 2.0, "mechanism": "tree_rings", "alpha": 0.5},
}
PLANES = Box([-1, 0], [1, 5])


@pytest.mark.parametrize("case", CASES)
def test_the_stated_noise_is_that_of_the_answers(case):
    """Answers are linear in the released numbers: the variance is that of one number times the sum of squares."""
    fields = CASES[case]
    made = recipe(PLANES, **fields, **({"cells": 16} if "square" not in case and case != "moments" else {}))
    points = np.random.default_rng(0).uniform((-1.5, 0), (1, 5), (40, 2))
    unit = 2**40
    columns = [made.estimates(unit * row, points).sums / unit for row in np.eye(made.size, dtype=np.int64)]
    predicted = made.estimates(np.zeros(made.size, np.int64), points).noise_error
    exact = np.linalg.norm(columns, axis=0) * made.calibration.deviation
    np.testing.assert_allclose(predicted, exact, rtol=1e-6)
    assert made.noise_error >= 0.999999 * predicted.max()


@pytest.mark.parametrize("delta", [0.0, 1e-6])
def test_no_other_amplitudes_make_less_noise(delta):
    """The variance at grid points: of one released number by all sensitivity, times the sum of squared weights."""
    made = recipe(PLANES, delta=delta, cells=64)
    constant, pairs = made.coefficients
    strengths = np.abs(np.append(constant, pairs))
    widths = np.where(np.arange(len(strengths)) == 0, 1.0, math.sqrt(2))

    def error(amplitudes):
        moved = np.sqrt((amplitudes**2).sum()) if delta else (widths * amplitudes).sum()
        return moved * np.sqrt(((strengths / amplitudes) ** 2).sum())

    own = np.append(made.amplitudes.constant, made.amplitudes.pairs).astype(float)
    random = np.random.default_rng(0)
    for size in (0.001, 0.01, 0.1, 1.0):
        for _ in range(20):
            assert error(own * np.exp(size * random.normal(size=own.shape))) > error(own) * (1 - 1e-8)


def test_sums_of_absolute_differences_have_noise_of_at_most_four_and_a_half_widths_over_epsilon():
    """For any number of cells; the limit is sqrt(2) (2^(-2/3) + sum of (sqrt(2) 4 / (pi k)^2)^(2/3), k odd)^(3/2)."""
    odd = (1 - 2 ** (-4 / 3)) * 3.600937750455653  # zeta(4/3)
    limit = math.sqrt(2) * (0.5 ** (2 / 3) + (math.sqrt(2) * 4 / math.pi**2) ** (2 / 3) * odd) ** 1.5
    for epsilon in (0.01, 1.0, 10.0):
        noise = [
            recipe(epsilon=epsilon, cells=cells).noise_error * epsilon / 600 for cells in (64, 1_024, 2**13, 2**16)
        ]
        assert noise == sorted(noise)
        assert noise[1:3] == pytest.approx([4.12, 4.26], abs=0.03)
        assert noise[-1] < limit < 4.4


def test_gaussian_noise_of_absolute_differences_is_that_of_the_largest_distance():
    """The sum of all coefficients' sizes is 1: the error is sigma times the width, and in d dimensions times all."""
    one = recipe(delta=1e-6, cells=2**13)
    assert one.noise_error == pytest.approx(600 * float(one.calibration.scale) / one.calibration.l2, rel=1e-3)
    two = recipe(PLANES, delta=1e-6, cells=2**13)
    assert two.noise_error == pytest.approx(7 * float(two.calibration.scale) / two.calibration.l2, rel=1e-3)


@pytest.mark.parametrize("case", CASES)
def test_change_one_has_twice_the_sensitivity_of_add_or_remove_one(case):
    one, two = (distance(**CASES[case]).recipe(terms(PLANES, 1_000, relation)).calibration for relation in Neighbours)
    assert two.l1 == 2 * one.l1
    assert two.l2_squared == 4 * one.l2_squared


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("max_records", [1, 2**31])
@pytest.mark.parametrize("epsilon", [1e-3, 1.0, 100.0])
def test_sums_and_noise_fit_their_integers(case, max_records, epsilon):
    made = distance(**CASES[case] | {"epsilon": epsilon}).recipe(terms(PLANES, max_records))
    made.calibration.check()
    assert max_records * made.calibration.l1 / made.size < 2**62


@pytest.mark.parametrize("case", CASES)
def test_a_request_is_made_again_from_its_parameters(case):
    request = distance(**CASES[case]).request(terms(PLANES))
    again = Request.of(json.loads(json.dumps(request.parameters())))
    assert again == request
    assert MECHANISMS[request.mechanism](again).digest() == recipe_of(request).digest()


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"p": 2.0}, "expected p with lp_p"),
        ({"distance": "lp_p"}, "expected p with lp_p"),
        ({"distance": "l2", "mechanism": "tree"}, "expected l2 by one of auto, spectral"),
        ({"mechanism": "moments"}, "expected l1 by one of"),
        ({"distance": "lp_p", "p": 3.0, "mechanism": "moments"}, "expected p = 2"),
        ({"distance": "l2_squared", "cells": 64}, "expected no cells"),
        ({"n_directions": 5}, "expected no n_directions"),
        ({"direction_seed": 0}, "expected no direction_seed"),
        ({"alpha": 0.5}, "expected no alpha"),
        ({"consistent": True, "mechanism": "tree_rings"}, "expected no consistent"),
        ({"cells": 100}, "expected a power of two"),
    ],
    ids=range(11),
)
def test_options_that_would_be_ignored_are_refused(fields, reason):
    with pytest.raises(ValidationError, match=reason):
        distance(**fields)


@pytest.mark.parametrize(
    ("fields", "domain", "pointer"),
    [
        ({"distance": "l2", "cells": 2**16}, PLANES, "/cells"),
        ({"distance": "lp_p", "p": 16.0}, Box([0], [1e300]), "/distance"),
        ({"distance": "lp_p", "p": 16.0}, Box([0], [1e-10]), "/distance"),
        ({"epsilon": 1e-6, "distance": "l2_squared"}, PLANES, "/epsilon"),
        ({"distance": "l2", "n_directions": 5}, ONE_SIDE, "/n_directions"),
        ({"distance": "l2", "direction_seed": 0}, ONE_SIDE, "/direction_seed"),
    ],
    ids=range(6),
)
def test_what_cannot_be_computed_is_refused_by_its_field(fields, domain, pointer):
    with pytest.raises(InvalidSpec) as refusal:
        distance(**fields).check({"x": public_info(terms(domain))})
    assert refusal.value.errors[0].pointer == pointer


def release(case="l2"):
    request = distance(**CASES[case]).request(terms(PLANES))
    made = recipe_of(request)
    vector = np.arange(made.size) * 2**30
    known = {"kind": "private_distance", "release": "0" * 32, "vector_sha256": npy_sha256(vector)}
    stated = {"mechanism_sha256": made.digest(), "noise_error": 1.0, "count_error": 1.0}
    return DistanceRelease(vector, known | stated | json.loads(json.dumps(request.parameters())))


@pytest.mark.parametrize("case", CASES)
def test_what_was_saved_is_loaded_and_answers_with_the_same_bits(case, tmp_path):
    points = np.random.default_rng(0).uniform(-1, 6, (1_500, 2))
    saved = release(case)
    loaded = load_release(saved.save(tmp_path / "release.npz"))
    assert isinstance(loaded, DistanceRelease)
    for first, second in zip(saved(points), loaded(points), strict=True):
        np.testing.assert_array_equal(first, second)
    assert "release 0" in str(loaded)


@pytest.mark.parametrize("missing", sorted(NEEDED | {"box", "cells", "max_records", "epsilon"}))
def test_a_release_without_one_of_its_parameters_is_none(missing, tmp_path):
    whole = release()
    rest = {name: value for name, value in whole.parameters.items() if name != missing}
    with pytest.raises(ValueError, match="expected"):
        load_release(DistanceRelease(whole.vector, rest).save(tmp_path / "release.npz"))


def test_other_parameters_than_were_published_are_refused(tmp_path):
    whole = release()
    for changed in ({"direction_seed": 1}, {"cells": 32}, {"vector_sha256": "0" * 64}):
        with pytest.raises(ValueError, match="expected"):
            load_release(DistanceRelease(whole.vector, whole.parameters | changed).save(tmp_path / "release.npz"))
    with pytest.raises(InvalidArray, match="this version of NumPy"):
        DistanceRelease(whole.vector, whole.parameters | {"mechanism_sha256": "0" * 64})(np.zeros((1, 2)))


def test_points_of_other_dimensions_are_refused():
    with pytest.raises(InvalidArray, match=r"expected points of shape \(n, 2\)"):
        release()(np.zeros((3, 3)))


def test_answers_to_no_points_are_none():
    assert len(release()(np.zeros((0, 2))).sums) == 0
