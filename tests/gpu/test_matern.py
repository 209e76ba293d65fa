"""The Matern function of any smoothness, against mpmath with 40 digits."""

import mpmath
import numpy as np
import pytest

from gpu import matern
from mercer import kernels as k
from tests.gpu.computing import DTYPES, compute

SMOOTHNESSES = (
    0.05,
    0.1,
    0.3,
    0.5,
    0.7,
    0.95,
    0.999,
    1.0,
    1.001,
    1.5,
    2.0,
    3.7,
    7.5,
    12.9,
    13.0,
    20.0,
    50.0,
    200.0,
    500.0,
)
PRINTED = {
    (0.3, 1.3): 0.17587664094802145,
    (1.0, 1.3): 0.21880625370086004,
    (3.7, 1.3): 0.24511985814136955,
    (10.0, 1.3): 0.25684428788196643,
    (50.0, 1.3): 0.26473236978677522,
    (200.0, 1.3): 0.26645757690564438,
    (0.3, 1e-6): 0.99976490341889856,
    (1.0, 1e-6): 0.99999999997834105,
    (50.0, 1e-6): 0.99999999999920281,
}
"""nu and the distance, at lengthscale 0.8; scikit-learn gives inf, nan or 0 for some of them."""


def exact(nu, r):
    with mpmath.workdps(40):
        nu, r = mpmath.mpf(nu), mpmath.mpf(r)
        return mpmath.mpf(2) ** (1 - nu) / mpmath.gamma(nu) * r**nu * mpmath.besselk(nu, r)


def from_table(table, r):
    """k(r) by the layout as gpu/matern.py tells it."""
    fraction, exponent = np.frexp(r)
    eighths = (2 * fraction - 1) * 8
    segment = (8 * (exponent - 1) + np.floor(eighths) - table[0]).astype(int)
    x = 2 * (eighths - np.floor(eighths)) - 1
    inside = (segment >= 0) & (segment < table[1])
    coefficients = table[2:].reshape(-1, 10)[np.where(inside, segment, 0)]
    log_k = sum(coefficients[:, i] * x**i for i in range(10))
    return np.where(r == 0, 1.0, np.where(inside, np.exp(np.minimum(log_k, 0)), (segment < 0) * 1.0))


@pytest.mark.parametrize("nu", SMOOTHNESSES)
def test_a_table_is_exact_to_1e_12_down_to_underflow(nu):
    random = np.random.default_rng(3)
    count = 25 if nu < 50 else 6  # mpmath takes a second for some of the others
    r = np.concatenate([10 ** random.uniform(-9, 3, count), random.uniform(0.1, 30 * max(1, nu**0.5), count)])
    expected = [exact(nu, value) for value in r]
    made = from_table(matern.table(nu), r)
    errors = [abs(value / truth - 1) for value, truth in zip(made, expected, strict=True) if truth > 1e-300]
    assert len(errors) > count
    assert max(errors) < 1e-12


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("nu", SMOOTHNESSES)
def test_no_distance_gives_nan_or_more_than_1(nu, dtype):
    r = np.concatenate([[0.0], np.logspace(-300, 12, 500)])
    made = compute(k.Matern(nu=nu), r[:, None], np.zeros((1, 1)), dtype=dtype)
    assert ((made >= 0) & (made <= 1)).all()
    assert made[0, 0] == 1
    assert made[-1, 0] == 0


@pytest.mark.parametrize("nu", SMOOTHNESSES)
def test_the_compiled_path_reads_the_table_as_it_is_laid_out(nu):
    r = np.logspace(-12, 3.2, 300)
    made = compute(k.Matern(nu=nu, lengthscale=(2 * nu) ** 0.5), r[:, None], np.zeros((1, 1)))[:, 0]
    expected = from_table(matern.table(nu), r)
    np.testing.assert_allclose(made, np.where(expected < 1e-300, made, expected), rtol=5e-13)


@pytest.mark.parametrize(("nu", "distance"), PRINTED)
def test_printed_values_are_reproduced(nu, distance):
    made = compute(k.Matern(nu=nu, lengthscale=0.8), np.array([[distance]]), np.zeros((1, 1)))
    assert made[0, 0] == pytest.approx(PRINTED[nu, distance], rel=1e-12)


@pytest.mark.parametrize("nu", [0.5, 1.5, 2.5])
def test_closed_forms_meet_the_table(nu):
    x = np.linspace(0, 30, 200)[:, None]
    table = from_table(matern.table(nu), np.sqrt(2 * nu) * x[:, 0])
    np.testing.assert_allclose(compute(k.Matern(nu=nu), x, np.zeros((1, 1)))[:, 0], table, rtol=1e-12)


def test_the_limit_of_large_nu_is_the_gaussian():
    x = np.linspace(0, 3, 20)[:, None]
    np.testing.assert_allclose(compute(k.Matern(nu=500.0), x), compute(k.Gaussian(), x), atol=2e-3)


def test_a_table_is_made_once():
    assert matern.table(0.77) is matern.table(0.77)
