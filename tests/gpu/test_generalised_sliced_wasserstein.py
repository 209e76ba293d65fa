"""The generalised distance against SciPy and POT on the values of the defining function, one direction at a time."""

import math
from functools import cache
from itertools import product

import numpy as np
import ot
import pytest
from scipy.stats import sem, wasserstein_distance
from scipy.stats import t as student

from gpu.device import Device
from gpu.ops import generalised_sliced_wasserstein as op
from gpu.sliced.defining import monomials
from gpu.task import Cancelled, Task
from mercer.errors import InvalidSpec
from mercer.specs import GeneralisedSlicedWasserstein

FUNCTIONS = ({"defining_function": "linear"}, {"defining_function": "circular", "radius": 1.5},
             {"defining_function": "polynomial", "degree": 3},
             {"defining_function": "polynomial", "degree": 5})  # fmt: skip
TOLERANCE = {"float32": 1e-5, "float64": 1e-9}

every_function = pytest.mark.parametrize("function", FUNCTIONS, ids=str)


@cache
def cpu():
    return Device("cpu")


def cloud(n, d, seed, shift=0.0):
    return np.random.default_rng([seed, n, d]).normal(size=(n, d)) + shift


def task(x, y, report=lambda share: None, **options):
    spec = GeneralisedSlicedWasserstein(x=x, y=y, **options)
    return Task(spec, spec.arrays(), report)


def estimate(*several):
    answers = op.run(several, cpu())
    made = [GeneralisedSlicedWasserstein.answer(answer.array(), answer.facts) for answer in answers]
    return made if len(made) > 1 else made[0]


def multi_indices(d, degree):
    """All exponents of the sum `degree`, in the lexicographic order of the monomials' factors."""
    return sorted((a for a in product(range(degree + 1), repeat=d) if sum(a) == degree), reverse=True)


def g(points, theta, defining_function, radius=None, degree=None):
    if defining_function == "linear":
        return points @ theta
    if defining_function == "circular":
        return np.linalg.norm(points - radius * theta, axis=1)
    exponents = np.array(multi_indices(points.shape[1], degree))
    return (points[:, None, :] ** exponents).prod(axis=2) @ theta


@every_function
@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("p", [1.0, 2.0, 3.0])
@pytest.mark.parametrize(
    ("n", "m", "d", "weighted"), [(30, 30, 3, False), (30, 22, 4, False), (21, 30, 2, True), (1, 1, 3, False)]
)
def test_every_slice_is_pots_of_the_values(n, m, d, weighted, p, dtype, function):
    x, y = cloud(n, d, 1), cloud(m, d, 2, shift=0.6)
    a, b = (np.random.default_rng(size).dirichlet(np.ones(size)) if weighted else None for size in (n, m))
    given = task(x, y, x_weights=a, y_weights=b, p=p, n_projections=8, dtype=dtype, **function)
    got, thetas = estimate(given), op.thetas(given.spec, d)
    values = [(g(x, theta, **function), g(y, theta, **function)) for theta in thetas]
    expected = [ot.emd2_1d(u, v, a, b, metric="minkowski", p=p) for u, v in values]
    np.testing.assert_allclose(got.costs, expected, rtol=TOLERANCE[dtype])
    if p == 1:
        by_scipy = [wasserstein_distance(u, v, a, b) for u, v in values]
        np.testing.assert_allclose(got.costs, by_scipy, rtol=TOLERANCE[dtype])
    assert got.power == pytest.approx(np.mean(expected), rel=TOLERANCE[dtype])
    assert got.distance == pytest.approx(got.power ** (1 / p), rel=1e-14)
    assert got.power == pytest.approx(op.reference(given), rel=TOLERANCE[dtype])
    assert got.power_error == pytest.approx(sem(got.costs), rel=1e-12)
    low, high = student.interval(0.95, 7, got.power, got.power_error)
    assert got.power_interval == pytest.approx((max(0.0, low), high), rel=1e-12)
    np.testing.assert_allclose(np.linalg.norm(thetas, axis=1), 1, rtol=1e-14)
    assert thetas.shape == (8, got.n_parameters)


@pytest.mark.parametrize("degree", [3, 5])
@pytest.mark.parametrize("d", [1, 2, 3, 5])
def test_the_features_are_all_monomials_once(d, degree):
    points = cloud(4, d, 1)
    exponents = np.array(multi_indices(d, degree))
    expected = (points[:, None, :] ** exponents).prod(axis=2)
    got = monomials(points, degree)
    assert got.shape == (4, math.comb(d + degree - 1, degree))
    np.testing.assert_allclose(got, expected, rtol=1e-12)


@every_function
def test_the_interval_covers_the_mean_over_all_directions(function):
    given = task(cloud(15, 3, 1), cloud(12, 3, 2, shift=0.6), n_projections=8_000, **function)
    costs = estimate(given).costs
    shape = np.empty((1, 3))
    parts = [op.answer(Task(given.spec, {"x": shape}), part).facts for part in costs.reshape(-1, 40)]
    covered = [low <= costs.mean() <= high for low, high in (part["power_interval"] for part in parts)]
    assert 0.9 <= np.mean(covered) <= 0.98
    spread = np.std([part["power"] for part in parts])
    assert spread == pytest.approx(np.mean([part["power_error"] for part in parts]), rel=0.12)


@pytest.mark.parametrize("p", [1.0, 2.0])
def test_with_a_large_radius_circles_are_lines(p):
    x, y = cloud(20, 3, 1), cloud(15, 3, 2)
    lines = estimate(task(x, y, p=p, defining_function="linear")).costs
    for radius in (1e6, 1e9, 1e12):
        circles = estimate(task(x, y, p=p, defining_function="circular", radius=radius)).costs
        np.testing.assert_allclose(circles, lines, rtol=max(100 / radius, 1e-11))


def test_points_at_the_centre_of_a_circle_keep_their_digits():
    """|x - r theta| of a point within rounding of r theta, which |x|^2 - 2 r x . theta + r^2 cannot tell."""
    x, y = np.array([[0.1], [0.1 + 1e-9]]), np.array([[0.1 + 3e-9], [0.1 + 2e-9]])
    got = estimate(task(x, y, p=1.0, defining_function="circular", radius=0.1)).costs
    np.testing.assert_allclose(got, [2e-9, 2e-9], rtol=1e-6)


@pytest.mark.parametrize("n", [1, 7])
def test_on_a_line_all_directions_are_taken(n):
    x, y = cloud(n, 1, 1), cloud(9, 1, 2, shift=2.0)
    for function, values in (
        (FUNCTIONS[0], [lambda t: t]),
        (FUNCTIONS[1], [lambda t: abs(t - 1.5), lambda t: abs(t + 1.5)]),
        (FUNCTIONS[2], [lambda t: t**3]),
    ):
        got = estimate(task(x, y, p=1.0, **function))
        expected = [wasserstein_distance(value(x[:, 0]), value(y[:, 0])) for value in values]
        np.testing.assert_allclose(got.costs, expected, rtol=1e-12)
        assert (got.power_error, got.distance_error, got.n_parameters) == (0.0, 0.0, 1)
        assert got.power_interval == (got.power, got.power)


@every_function
@pytest.mark.parametrize("d", [1, 3])
def test_equal_measures_are_at_distance_zero_without_error(d, function):
    x = cloud(20, d, 1)
    got = estimate(task(x, x.copy(), n_projections=30, **function))
    assert (got.power, got.distance, got.power_error, got.interval) == (0.0, 0.0, 0.0, (0.0, 0.0))


@every_function
@pytest.mark.parametrize("scale", [1e-20, 1e25])
def test_distances_are_homogeneous_in_the_points(scale, function):
    x, y = cloud(9, 3, 1), cloud(9, 3, 2)
    small = estimate(task(x, y, **function)).distance
    scaled = function | ({"radius": 1.5 * scale} if "radius" in function else {})
    large = estimate(task(x * scale, y * scale, **scaled)).distance
    assert large == pytest.approx(small * scale ** function.get("degree", 1), rel=1e-9)


@pytest.mark.parametrize(("function", "scale"), [(FUNCTIONS[1], 1e155), (FUNCTIONS[2], 1e52), (FUNCTIONS[3], 1e31)])
def test_powers_beyond_float64_are_refused(function, scale):
    with pytest.raises(InvalidSpec, match="too far"):
        estimate(task(cloud(5, 2, 1) * scale, cloud(5, 2, 2) * scale, **function))


def test_whole_numbers_are_taken_as_they_are():
    x, y = np.random.default_rng(1).integers(-5, 6, size=(2, 20, 3))
    for function in FUNCTIONS:
        expected = estimate(task(x.astype(float), y.astype(float), **function))
        assert estimate(task(x.astype(np.int8), y.astype(np.float16), **function)).power == expected.power


def test_no_answer_depends_on_the_jobs_beside_it():
    several = [task(cloud(9, 3, 1), cloud(8, 3, 2), n_projections=10, **function) for function in FUNCTIONS]
    for one, got in zip(several, estimate(*several), strict=True):
        np.testing.assert_array_equal(estimate(one).costs, got.costs)


def test_directions_are_taken_some_at_a_time(monkeypatch):
    given = task(cloud(9, 3, 1), cloud(8, 3, 2), **FUNCTIONS[1])
    expected = estimate(given).costs
    monkeypatch.setattr(op, "WORKING_BYTES", 7 * 17 * op.BYTES_PER_VALUE)
    np.testing.assert_allclose(estimate(given).costs, expected, rtol=1e-12)


@every_function
def test_progress_ends_at_one_and_a_cancelled_job_stops(function):
    heard = []
    estimate(task(cloud(9, 3, 1), cloud(8, 3, 2), heard.append, **function))
    assert heard == sorted(heard)
    assert heard[-1] == pytest.approx(1)

    def cancel(share):
        raise Cancelled

    with pytest.raises(Cancelled):
        estimate(task(cloud(9, 3, 1), cloud(8, 3, 2), cancel, **function))


def test_a_single_direction_of_many_has_no_error():
    got = estimate(task(cloud(9, 3, 1), cloud(8, 3, 2), n_projections=1, **FUNCTIONS[0]))
    assert got.power_error is got.interval is got.distance_error is None
    assert str(got).startswith("GSW_p = ")
