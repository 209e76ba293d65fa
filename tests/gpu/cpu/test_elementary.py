"""The vectorised elementary functions, against mpmath."""

import mpmath
import numpy as np
import pytest

from gpu.cpu import elementary
from gpu.cpu.jit import inner

EPSILON = {"float32": 2.0**-24, "float64": 2.0**-53}


@inner
def apply(function, values, out):
    for i in range(len(values)):
        out[i] = function(values[i])


@inner
def exp_negative(x):
    return elementary.exp_negative(x)


CASES = {
    "exp_negative": (
        exp_negative,
        mpmath.exp,
        lambda random: -np.abs(random.normal(size=300)) * 10 ** random.uniform(-8, 1.4, 300),
    ),
    "log1p": (elementary.log1p, lambda t: mpmath.log1p(t), lambda random: 10 ** random.uniform(-12, 12, 300)),
    "tanh": (elementary.tanh, mpmath.tanh, lambda random: random.normal(size=300) * 10 ** random.uniform(-8, 1, 300)),
    "double_arcsin_root": (
        elementary.double_arcsin_root,
        lambda w: 2 * mpmath.asin(mpmath.sqrt(w)),
        lambda random: random.uniform(0, 1, 300) ** random.uniform(1, 20, 300),
    ),
}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", CASES)
def test_the_error_is_a_few_units_in_the_last_place(name, dtype):
    function, exact, sample = CASES[name]
    x = sample(np.random.default_rng(7)).astype(dtype)
    made = np.empty_like(x)
    apply(function, x, made)
    with mpmath.workdps(40):
        errors = [
            abs(mpmath.mpf(float(y)) / exact(mpmath.mpf(float(value))) - 1) for y, value in zip(made, x, strict=True)
        ]
    assert max(errors) <= 6 * EPSILON[dtype]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_exp_is_exactly_1_at_0_and_0_far_below(dtype):
    x = np.array([0.0, -0.0, -1e-30, -800.0, -1e30, -np.inf], dtype)
    made = np.empty_like(x)
    apply(exp_negative, x, made)
    assert made.tolist() == [1, 1, 1, 0, 0, 0]


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_an_angle_of_vectors_that_rounding_has_put_further_than_opposite_is_pi(dtype):
    x = np.array([1.0, 1.0 + 1e-6], dtype)
    made = np.empty_like(x)
    apply(elementary.double_arcsin_root, x, made)
    np.testing.assert_allclose(made, np.pi, rtol=2 * EPSILON[dtype])
