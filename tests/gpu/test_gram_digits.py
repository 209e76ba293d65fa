"""Data that are hard on a distance: far from the origin, in distant clusters, of any scale, nearly the same."""

import numpy as np
import pytest

from mercer import kernels as k
from mercer.errors import InvalidSpec
from tests.gpu.computing import DTYPES, TOLERANCE, compute, points, reference

FAMILIES = {
    "gaussian": lambda scale: k.Gaussian(lengthscale=scale),
    "gaussian by dimension": lambda scale: k.Gaussian(lengthscale=[scale, 2 * scale, 3 * scale]),
    "laplacian_l1": lambda scale: k.LaplacianL1(lengthscale=scale),
    "exponential": lambda scale: k.Exponential(lengthscale=scale),
    "matern 0.3": lambda scale: k.Matern(nu=0.3, lengthscale=scale),
    "matern 3/2": lambda scale: k.Matern(nu=1.5, lengthscale=scale),
    "matern 3.7": lambda scale: k.Matern(nu=3.7, lengthscale=scale),
    "rational_quadratic": lambda scale: k.RationalQuadratic(alpha=0.7, lengthscale=scale),
    "periodic": lambda scale: k.Periodic(lengthscale=1.3, period=3 * scale),
}
every_family = pytest.mark.parametrize("make", FAMILIES.values(), ids=FAMILIES)
every_dtype = pytest.mark.parametrize("dtype", DTYPES)


def error(kernel, x, dtype, y=None):
    return np.abs(compute(kernel, x, y, dtype=dtype) - reference(kernel, x, y)).max()


@every_family
@every_dtype
@pytest.mark.parametrize("offset", [10.0, 1e3, 1e6])
def test_a_far_origin_costs_nothing(make, offset, dtype):
    x = points(90, 3) + offset
    assert error(make(1.3), x, dtype) <= TOLERANCE[dtype]


@every_family
def test_a_far_origin_costs_nothing_to_points_in_float32(make):
    x = (points(90, 3) + 1e3).astype(np.float32)
    assert error(make(1.3), x, "float32") <= 2e-6


@every_dtype
@pytest.mark.parametrize("d", [2, 16, 300])
@pytest.mark.parametrize("points_dtype", ["float32", "float64"])
def test_distant_clusters_keep_their_small_distances(d, points_dtype, dtype):
    x = (0.01 * points(600, d) + 100 * (np.arange(600) % 2)[:, None] / d**0.5).astype(points_dtype)
    assert error(k.Gaussian(gamma=50.0 * 16 / d), x, dtype) <= TOLERANCE[dtype]


@every_family
@every_dtype
@pytest.mark.parametrize("scale", [1e-6, 1e-3, 1e3, 1e6])
def test_the_unit_of_the_points_does_not_matter(make, scale, dtype):
    x, y = points(90, 3), points(50, 3, 1)
    expected = reference(make(1.3), x, y)
    made = compute(make(1.3 * scale), x * scale, y * scale, dtype=dtype)
    np.testing.assert_allclose(made, expected, rtol=0, atol=TOLERANCE[dtype])


@pytest.mark.parametrize("kernel", [k.Linear(), k.Cosine(), k.Polynomial(degree=2), k.ArcCosine()], ids=str)
@every_dtype
@pytest.mark.parametrize("scale", [1e-6, 1e-3, 1e3, 1e6])
def test_dot_products_of_any_scale_keep_their_digits(kernel, scale, dtype):
    x = points(60, 5) * scale
    expected = reference(kernel, x)
    np.testing.assert_allclose(
        compute(kernel, x, dtype=dtype), expected, rtol=0, atol=TOLERANCE[dtype] * np.abs(expected).max()
    )


@every_dtype
@pytest.mark.parametrize("scale", [1.0, 1e3, 1e6])
def test_histograms_of_any_size_keep_their_digits(scale, dtype):
    x = scale * (1 + 1e-3 * points(60, 5))
    assert error(k.Chi2(gamma=1.0), x, dtype) <= TOLERANCE[dtype]


@every_family
@every_dtype
def test_duplicates_are_at_distance_0(make, dtype):
    x = np.repeat(points(20, 3) * 1e3, 3, axis=0)
    made = compute(make(1.3), x, dtype=dtype)
    assert (made[np.repeat(np.arange(20), 3)[:, None] == np.repeat(np.arange(20), 3)] == 1).all()


@every_family
@pytest.mark.parametrize("gap", [1e-9, 1e-6, 1e-3])
def test_near_duplicates_keep_their_distance(make, gap):
    """1 - k is compared where the function is steep at 0; else it is below rounding."""
    x = points(20, 3)
    y = x + gap
    made, expected = (f(make(1.3), x, y) for f in (compute, reference))
    np.testing.assert_allclose(made, expected, rtol=1e-12, atol=0)


@pytest.mark.parametrize(
    ("kernel", "scale"),
    [
        (k.Gaussian(lengthscale=1e-200), 1.0),
        (k.Gaussian(gamma=1e308), 1.0),
        (k.Matern(nu=1.5, lengthscale=[1e-200, 1.0]), 1.0),
        (k.Periodic(lengthscale=1e-200), 1.0),
        (k.Linear(), 1e160),
        (k.Chi2(gamma=1e306), 1e10),
    ],
    ids=str,
)
@every_dtype
def test_numbers_beyond_all_reason_are_refused_and_never_nan(kernel, scale, dtype):
    with pytest.raises(InvalidSpec, match="too large"):
        compute(kernel, abs(points(5, 2)) * scale, dtype=dtype)


@every_dtype
@pytest.mark.parametrize(
    ("kernel", "scale"),
    [
        (k.Gaussian(), 1e25),
        (k.Gaussian(), 1e60),
        (k.Exponential(lengthscale=[1e-20, 1e-30]), 1.0),
        (k.LaplacianL1(gamma=1e39), 1.0),
        (k.RationalQuadratic(lengthscale=1e-30), 1.0),
        (k.Periodic(lengthscale=1e-25), 1.0),
        (k.Chi2(gamma=1e39), 1.0),
        (k.Cosine(), 1e60),
        (k.Sigmoid(), 1e30),
    ],
    ids=str,
)
def test_numbers_beyond_float32_are_computed_in_float64(kernel, scale, dtype):
    assert error(kernel, abs(points(20, 2)) * scale, dtype) <= TOLERANCE[dtype]
