"""Every family against public implementations and printed values."""

import numpy as np
import pytest
from sklearn.gaussian_process import kernels as gp
from sklearn.metrics import pairwise

from mercer import kernels as k
from tests.gpu.computing import DTYPES, TOLERANCE, compute, points, reference

X = np.array([[0.1, -0.4, 0.7], [1.0, 0.2, -0.3], [-0.5, 0.9, 0.4], [0, 0, 1.2]])
Y = np.array([[0.3, 0.3, 0.3], [-1.0, 0.5, 0.0]])

PRINTED = {
    # scikit-learn 1.9.1
    "gaussian": (
        k.Gaussian(gamma=0.7),
        [0.616929823373548, 0.17256177339119, 0.547715109713727, 0.152133021408948, 3.20713642364714],
    ),
    "gaussian by dimension": (
        k.Gaussian(lengthscale=[0.5, 1, 2]),
        [0.7082203534678, 0.0557850146679421, 0.357006960569147, 0.0997588006536186, 2.72347079864225],
    ),
    "laplacian_l1": (
        k.LaplacianL1(gamma=0.7),
        [0.402524224033636, 0.151071808836371, 0.3753110988514, 0.151071808836371, 2.3444044137476],
    ),
    "matern 1/2": (
        k.Matern(nu=0.5, lengthscale=0.8),
        [0.354046158585277, 0.138017824417593, 0.313736344830155, 0.128715281589837, 1.97436234791703],
    ),
    "exponential": (
        k.Exponential(lengthscale=0.8),
        [0.354046158585277, 0.138017824417593, 0.313736344830155, 0.128715281589837, 1.97436234791703],
    ),
    "matern 3/2": (
        k.Matern(nu=1.5, lengthscale=0.8),
        [0.46330215364366, 0.143462407978306, 0.403899463988894, 0.130598417264126, 2.44633977899775],
    ),
    "matern 5/2": (
        k.Matern(nu=2.5, lengthscale=0.8),
        [0.502137237306089, 0.142803421509619, 0.436591562051901, 0.128552489119567, 2.60717254792879],
    ),
    "matern 1": (
        k.Matern(nu=1.0, lengthscale=0.8),
        [0.426311566610325, 0.143033389310948, 0.37332974657951, 0.131403791714252, 2.29095194572317],
    ),
    "matern 3.7": (
        k.Matern(nu=3.7, lengthscale=0.8),
        [0.525299471529547, 0.142059816059582, 0.456684068173032, 0.12688492091591, 2.70317502970221],
    ),
    "rational_quadratic": (
        k.RationalQuadratic(alpha=1.3, lengthscale=0.8),
        [0.637016853356905, 0.302538842095501, 0.581812654262656, 0.286381108922478, 3.76972210957699],
    ),
    # GPyTorch 1.15.2, which does not square its lengthscale 0.8
    "periodic": (
        k.Periodic(lengthscale=0.8**0.5, period=1.7),
        [0.022967506477102, 0.00111960303477174, 0.012271516566067, 0.00409934163562621, 0.217987669540447],
    ),
    "linear": (k.Linear(offset=0.25), [0.37, -0.05, 0.52, 0.25, 2.74]),
    "polynomial": (
        k.Polynomial(gamma=0.5, offset=1.5, degree=3),
        [3.796416, 2.460375, 4.370722875, 3.375, 31.85703325],
    ),
    "sigmoid": (
        k.Sigmoid(gamma=0.5, offset=0.2),
        [0.254295532626391, 0.04995837495788, 0.323006318405905, 0.197375320224904, 1.84019052900017],
    ),
    "cosine": (k.Cosine(), [0.28426762180748, -0.330289129537908, 0.488812901934211, 0.0, 1.45033018441382]),
}
PRINTED_HISTOGRAMS = {
    "chi2": (k.Chi2(), [0.803979250331326, 0.354503508139758, 0.794407496067204, 0.135335283236613, 4.80866347361456]),
    "additive_chi2": (k.AdditiveChi2(), [-0.218181818181818, np.nan, np.nan, -2.0, -5.24738420620774]),
}
FIRST_ARC_COSINES = (0.591750421123991, 0.199837104683512, 0.168870076666174)

GAMMA = 0.3
SIMILAR = {
    "gaussian": (k.Gaussian(gamma=GAMMA), lambda x, y: pairwise.rbf_kernel(x, y, gamma=GAMMA)),
    "gaussian lengthscale": (k.Gaussian(lengthscale=1.7), lambda x, y: gp.RBF(1.7)(x, y)),
    "laplacian_l1": (k.LaplacianL1(gamma=GAMMA), lambda x, y: pairwise.laplacian_kernel(x, y, gamma=GAMMA)),
    "exponential": (k.Exponential(lengthscale=1.7), lambda x, y: gp.Matern(1.7, nu=0.5)(x, y)),
    "matern 3/2": (k.Matern(nu=1.5, lengthscale=1.7), lambda x, y: gp.Matern(1.7, nu=1.5)(x, y)),
    "matern 5/2": (k.Matern(nu=2.5, lengthscale=1.7), lambda x, y: gp.Matern(1.7, nu=2.5)(x, y)),
    "matern 3.7": (k.Matern(nu=3.7, lengthscale=1.7), lambda x, y: gp.Matern(1.7, nu=3.7)(x, y)),
    "rational_quadratic": (
        k.RationalQuadratic(alpha=1.3, lengthscale=1.7),
        lambda x, y: gp.RationalQuadratic(1.7, 1.3)(x, y),
    ),
    "periodic": (
        k.Periodic(lengthscale=1.7, period=2.3),
        lambda x, y: np.prod([gp.ExpSineSquared(1.7, 2.3)(x[:, [c]], y[:, [c]]) for c in range(x.shape[1])], axis=0),
    ),
    "cosine": (k.Cosine(), pairwise.cosine_similarity),
    "linear": (k.Linear(offset=0.25), lambda x, y: gp.DotProduct(0.5)(x, y)),
    "polynomial": (
        k.Polynomial(gamma=0.1, offset=1.5, degree=3),
        lambda x, y: pairwise.polynomial_kernel(x, y, gamma=0.1, coef0=1.5, degree=3),
    ),
    "sigmoid": (
        k.Sigmoid(gamma=0.1, offset=0.2),
        lambda x, y: pairwise.sigmoid_kernel(x, y, gamma=0.1, coef0=0.2),
    ),
    "chi2": (k.Chi2(gamma=GAMMA), lambda x, y: pairwise.chi2_kernel(x, y, gamma=GAMMA)),
    "additive_chi2": (k.AdditiveChi2(), pairwise.additive_chi2_kernel),
}
SHAPES = ((1, 1, 1), (5, 3, 2), (7, 65, 3), (67, 50, 16), (33, 517, 5), (130, 61, 33), (20, 31, 250), (530, 511, 3))
"""n, m, d: none a multiple of anything; the last is computed by panels."""


def _shown(made):
    """What the table has: four entries and the sum."""
    return [made[0, 0], made[0, 1], made[1, 0], made[3, 1], made.sum()]


@pytest.mark.parametrize("name", PRINTED)
def test_printed_values_are_reproduced(name):
    kernel, expected = PRINTED[name]
    made = compute(kernel, X, Y)
    np.testing.assert_allclose(_shown(made), expected, rtol=1e-12, atol=1e-15)


@pytest.mark.parametrize("name", PRINTED_HISTOGRAMS)
def test_printed_values_of_histograms_are_reproduced(name):
    kernel, expected = PRINTED_HISTOGRAMS[name]
    x, y = (np.abs(z) / np.abs(z).sum(axis=1, keepdims=True) for z in (X, Y))
    made = compute(kernel, x, y)
    np.testing.assert_allclose(np.where(np.isnan(expected), np.nan, _shown(made)), expected, rtol=1e-12)


@pytest.mark.parametrize("order", [0, 1, 2])
def test_printed_values_of_arc_cosines_are_reproduced(order):
    assert compute(k.ArcCosine(order=order), X, Y)[0, 0] == pytest.approx(FIRST_ARC_COSINES[order], rel=1e-12)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("name", SIMILAR)
def test_scikit_learn_agrees(name, shape, dtype):
    kernel, oracle = SIMILAR[name]
    n, m, d = shape
    x, y = (points(size, d, seed, positive="chi2" in name).astype(dtype) for seed, size in enumerate((n, m)))
    expected = oracle(x.astype(float), y.astype(float))
    largest = max(1.0, np.abs(expected).max())
    np.testing.assert_allclose(compute(kernel, x, y, dtype=dtype), expected, rtol=0, atol=TOLERANCE[dtype] * largest)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("family", sorted(k.FAMILIES))
def test_every_example_equals_its_formula(family, dtype):
    for fields in k.FAMILIES[family].examples:
        kernel = k.FAMILIES[family](**fields)
        x = points(30, 3, positive=kernel.non_negative_inputs)
        for y in (None, points(19, 3, 1, positive=kernel.non_negative_inputs)):
            expected = reference(kernel, x, y)
            largest = max(1.0, np.abs(expected).max())
            np.testing.assert_allclose(
                compute(kernel, x, y, dtype=dtype), expected, rtol=0, atol=TOLERANCE[dtype] * largest
            )


@pytest.mark.parametrize("name", ["gaussian", "laplacian_l1", "exponential", "matern 5/2", "rational_quadratic"])
def test_small_values_keep_their_relative_accuracy(name):
    """The error is of the exponent: z eps of k = exp(-z)."""
    kernel = PRINTED[name][0]
    x, y = points(40, 3), points(40, 3, 1) + 12
    expected = reference(kernel, x, y)
    assert expected.max() < 1e-2
    np.testing.assert_allclose(compute(kernel, x, y), expected, rtol=1e-12)


@pytest.mark.parametrize("order", [0, 1, 2])
@pytest.mark.parametrize("dtype", DTYPES)
def test_arc_cosines_keep_the_digits_of_angles_near_0_and_pi(order, dtype):
    angles = np.concatenate([[0.0], np.logspace(-9, 0, 40), np.pi - np.logspace(-9, -1, 40), [np.pi]])
    x = np.column_stack([np.cos(angles), np.sin(angles)])
    y = np.array([[1.0, 0.0]])
    sine, cosine, rest = np.sin(angles), np.cos(angles), np.pi - angles
    j = (rest, sine + rest * cosine, 3 * sine * cosine + rest * (1 + 2 * cosine**2))[order] / np.pi
    made = compute(k.ArcCosine(order=order), x, y, dtype=dtype)[:, 0]
    np.testing.assert_allclose(made, j, rtol=0, atol=TOLERANCE[dtype] * j.max())


def test_an_arc_cosine_takes_a_zero_vector_at_a_right_angle():
    x = np.array([[0.0, 0.0], [1.0, 1.0], [-2.0, 1.0]])
    for order in (0, 1, 2):
        np.testing.assert_allclose(
            compute(k.ArcCosine(order=order), x), reference(k.ArcCosine(order=order), x), atol=1e-15
        )
    assert compute(k.ArcCosine(order=0), x)[0].tolist() == [0.5, 0.5, 0.5]
    assert compute(k.ArcCosine(order=0), x, diagonal_only=True).tolist() == [0.5, 1.0, 1.0]


def test_cosine_similarity_with_a_zero_vector_is_zero():
    assert compute(k.Cosine(), np.array([[0.0, 0.0], [3.0, 4.0]])).tolist() == [[0.0, 0.0], [0.0, 1.0]]


def test_chi2_skips_what_is_zero_in_both():
    x = np.array([[0.0, 0.5, 0.5], [0.0, 0.0, 1.0]])
    np.testing.assert_allclose(compute(k.AdditiveChi2(), x), pairwise.additive_chi2_kernel(x), rtol=1e-15)


def test_active_dimensions_choose_columns_in_their_order():
    x = points(20, 5)
    kernel = k.Gaussian(lengthscale=[1.0, 3.0], active_dimensions=[4, 1])
    np.testing.assert_allclose(compute(kernel, x), gp.RBF([1.0, 3.0])(x[:, [4, 1]]), rtol=1e-13)


@pytest.mark.parametrize("dtype", DTYPES)
def test_an_expression_equals_the_same_of_its_parts(dtype):
    x, y = points(70, 4), points(531, 4, 1)
    a, b, c = k.Matern(nu=1.2), k.Periodic(period=2.0), k.Linear(offset=1.0)
    kernel = 0.7 * a * b + (c + 0.5) ** 3 + k.White(0.1) + a * (b + 2 * c)
    A, B, C = (reference(part, x, y) for part in (a, b, c))
    expected = 0.7 * A * B + (C + 0.5) ** 3 + A * (B + 2 * C)
    np.testing.assert_allclose(
        compute(kernel, x, y, dtype=dtype), expected, atol=TOLERANCE[dtype] * np.abs(expected).max()
    )


@pytest.mark.parametrize("points_dtype", ["int8", "uint8", "int32", "int64", "float16", "float32"])
@pytest.mark.parametrize("dtype", DTYPES)
def test_points_may_be_of_any_real_dtype(points_dtype, dtype):
    x = np.round(points(40, 3) * 3).clip(0, 100).astype(points_dtype)
    np.testing.assert_allclose(
        compute(k.Gaussian(lengthscale=2.0), x, dtype=dtype), gp.RBF(2.0)(x.astype(float)), atol=TOLERANCE[dtype]
    )
