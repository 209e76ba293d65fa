"""Kernel values that are the same bits everywhere."""

import hashlib
import math

import numpy as np
import pytest

from mercer.privacy.fourier import SPECTRA
from mercer.privacy.kernels import LARGEST, exp_negative, folded, kernel_values, scaled

FORMULAS = {
    "gaussian": lambda z: math.exp(-math.fsum(one**2 for one in z) / 2),
    "exponential": lambda z: math.exp(-math.sqrt(math.fsum(one**2 for one in z))),
    "laplacian_l1": lambda z: math.exp(-math.fsum(map(abs, z))),
    "rational_l2_squared": lambda z: 1 / (1 + math.fsum(one**2 for one in z)),
    "rational_l2": lambda z: 1 / (1 + math.sqrt(math.fsum(one**2 for one in z))),
    "rational_l1": lambda z: 1 / (1 + math.fsum(map(abs, z))),
}
DIGEST = "6685d27b98eca927fc5ef2bf021a1a6c77385e26b1ea7126499bb715c93addda"
ULP = 2.0**-52


def points(n, d, seed):
    """Whole numbers over 8: no function that rounds has a part in them."""
    return np.random.default_rng(seed).integers(0, 33, (n, d)) / 8


def test_the_exponential_is_exact_but_for_two_units_in_the_last_place():
    b = np.concatenate([np.geomspace(1e-300, LARGEST, 4_000), np.linspace(0, 50, 4_001)])
    true = np.array([math.exp(-one) for one in b.tolist()])
    assert (np.abs(exp_negative(b) - true) <= 2 * ULP * true).all()
    assert exp_negative(np.array([0.0, 709.0, 1e308, math.inf])).tolist() == [1.0, 0.0, 0.0, 0.0]


@pytest.mark.parametrize("scale", [0.7, [0.7, 2.0, 1.5]], ids=["one", "each"])
@pytest.mark.parametrize("spectrum", SPECTRA)
def test_values_are_the_formula(spectrum, scale):
    x, y = points(7, 3, 0), points(5, 3, 1)
    found = kernel_values(spectrum, scaled(spectrum, scale, x), scaled(spectrum, scale, y))
    true = [[FORMULAS[spectrum](((one - other) / np.array(scale)).tolist()) for other in y] for one in x]
    np.testing.assert_allclose(found, true, rtol=100 * ULP)


def test_sums_of_rows_are_the_sums_whatever_the_width():
    for width in (1, 2, 3, 7, 64, 1_000, 1_025):
        values = np.random.default_rng(width).normal(size=(4, width))
        true = [math.fsum(row) for row in values.tolist()]
        bound = 12 * ULP * np.abs(values).sum(axis=1)
        assert (np.abs(folded(values.copy()) - true) <= bound).all()


def test_the_bits_are_the_same_on_every_machine():
    """The digest was made once; a processor, or a NumPy, that computes otherwise is found by it."""
    hashed = hashlib.sha256()
    for spectrum in sorted(SPECTRA):
        values = kernel_values(
            spectrum, scaled(spectrum, 0.7, points(40, 9, 2)), scaled(spectrum, 0.7, points(30, 9, 3))
        )
        hashed.update(values.astype("<f8").tobytes())
        hashed.update(folded(values).astype("<f8").tobytes())
    assert hashed.hexdigest() == DIGEST


@pytest.mark.parametrize("spectrum", SPECTRA)
def test_a_points_values_do_not_depend_on_what_is_beside_it(spectrum):
    x, y = points(50, 6, 4), points(31, 6, 5)
    whole = kernel_values(spectrum, x, y)
    np.testing.assert_array_equal(whole[17:20], kernel_values(spectrum, x[17:20], y))
