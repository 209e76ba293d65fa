"""Weights as whole numbers."""

import numpy as np
import pytest

from gpu.cpu.sliced_costs import WHOLE, equal_masses, masses


@pytest.mark.parametrize("n", [1, 2, 3, 1000, 9999])
def test_masses_have_the_same_sum_to_the_last_unit(n):
    weights = np.random.default_rng(n).dirichlet(np.ones(n))
    assert sum(masses(weights).tolist()) == WHOLE == sum(equal_masses(n).tolist())


def test_masses_are_the_weights_and_never_none():
    weights = np.array([0.5, 1e-300, 0.5])
    np.testing.assert_allclose(masses(weights) / WHOLE, weights, atol=2.0**-61)
    assert masses(weights).min() == 1


def test_equal_masses_differ_by_one_at_most():
    assert np.ptp(equal_masses(1000)) == 1
