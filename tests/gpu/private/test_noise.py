"""The samplers against their laws: nobody chooses the bits, so a right sampler fails once in about a million runs."""

import inspect
from fractions import Fraction

import numpy as np
import opendp.prelude as dp
import pytest
from scipy import stats

from gpu.private import laplace, noise
from tests.gpu.private.laws import cells, p_value, residue_p_value

SURELY_WRONG = 1e-8
DRAWS = 500_000
NAMES = ["discrete_laplace", "discrete_gaussian", "rounded_gaussian"]
SCALES = [1, 10, 1000, 2**20]
VARIANCES = {
    "discrete_laplace": lambda t: 0.5 / np.sinh(0.5 / t) ** 2,
    "discrete_gaussian": lambda sigma: sigma**2,
    "rounded_gaussian": lambda sigma: sigma**2 + 1 / 12,
}
"""The Gaussians' are exact within 1e-6 from a standard deviation of 1 on."""


@pytest.fixture(params=NAMES)
def name(request):
    return request.param


def draw(name, scale, size=DRAWS):
    return getattr(noise, name)(scale, size)


@pytest.mark.parametrize("scale", [*SCALES, Fraction(7, 3), Fraction(1, 4)], ids=str)
def test_draws_follow_the_exact_law(name, scale):
    assert p_value(draw(name, scale), *cells(name, float(scale))) > SURELY_WRONG


@pytest.mark.parametrize("modulus", [2, 16, 256])
def test_low_digits_of_wide_noise_are_uniform(name, modulus):
    assert residue_p_value(draw(name, 2**20), modulus) > SURELY_WRONG


@pytest.mark.parametrize("scale", SCALES)
def test_noise_is_symmetric_with_the_laws_variance(name, scale):
    draws = draw(name, scale).astype(float)
    variance = VARIANCES[name](scale)
    fourth = np.mean(draws**4) - variance**2
    assert abs(draws.mean()) < 6 * np.sqrt(variance / DRAWS)
    assert abs(np.mean(draws**2) - variance) < 6 * np.sqrt(fourth / DRAWS) + 1e-6
    assert stats.binomtest(int((draws > 0).sum()), int((draws != 0).sum())).pvalue > SURELY_WRONG


@pytest.mark.parametrize("scale", [1, 1000])
def test_half_the_scale_is_caught(name, scale):
    halved = draw(name, Fraction(scale, 2))
    assert p_value(halved, *cells(name, scale)) < SURELY_WRONG


@pytest.mark.parametrize("digit", [0, 5, 12])
def test_one_biased_digit_is_caught(digit, monkeypatch):
    true = laplace.thresholds(Fraction(1000))
    biased = true.copy()
    biased[digit] = int(biased[digit]) * 80 // 100
    monkeypatch.setattr(laplace, "thresholds", lambda scale: biased)
    draws = noise.discrete_laplace(1000, DRAWS)
    assert min(p_value(draws, *cells("discrete_laplace", 1000)), residue_p_value(draws, 64)) < SURELY_WRONG


def test_the_two_gaussians_differ_where_the_grid_is_coarse():
    assert p_value(draw("rounded_gaussian", 1), *cells("discrete_gaussian", 1)) < SURELY_WRONG
    assert p_value(draw("discrete_gaussian", 1), *cells("rounded_gaussian", 1)) < SURELY_WRONG


@pytest.mark.parametrize("scale", [3, 2**20])
@pytest.mark.parametrize(
    ("name", "make", "metric"),
    [
        ("discrete_laplace", "make_laplace", lambda: dp.l1_distance(T="i64")),
        ("discrete_gaussian", "make_gaussian", lambda: dp.l2_distance(T="f64")),
    ],
)
def test_draws_are_those_of_opendp(name, make, metric, scale):
    dp.enable_features("contrib")
    vector = dp.vector_domain(dp.atom_domain(T="i64"))
    theirs = np.array(getattr(dp.m, make)(vector, metric(), scale=float(scale))([0] * 20_000))
    ours = draw(name, scale, 20_000)
    if scale > 1000:
        assert stats.ks_2samp(ours, theirs).pvalue > SURELY_WRONG
        return
    counts = np.stack([np.bincount(np.clip(x, -12, 12) + 12, minlength=25) for x in (ours, theirs)])
    assert stats.chi2_contingency(counts[:, counts.sum(axis=0) > 10]).pvalue > SURELY_WRONG


def test_calls_are_independent(name):
    first, second = draw(name, 2**20, 100_000), draw(name, 2**20, 100_000)
    assert not np.array_equal(first, second)
    for other in (second, np.roll(first, 1), first[::-1]):
        assert abs(np.corrcoef(first, other)[0, 1]) < 6 / np.sqrt(100_000)


def test_nothing_but_the_law_and_the_size_can_be_asked_for():
    assert [list(inspect.signature(getattr(noise, name)).parameters) for name in NAMES] == [
        ["scale", "size"],
        ["sigma", "size"],
        ["sigma", "size"],
    ]


@pytest.mark.parametrize("size", [0, 1, 7, 65_537, 140_001])
def test_any_size_is_drawn_whole(name, size):
    draws = draw(name, 1000, size)
    assert draws.shape == (size,)
    assert draws.dtype == np.int64
    assert np.count_nonzero(draws) > 0.99 * size - 1


@pytest.mark.parametrize("scale", [2**40, 2**50, Fraction(2**40) + Fraction(1, 7)], ids=str)
def test_wide_noise_is_far_from_the_ends_of_int64(name, scale):
    draws = draw(name, scale, 20_000)
    assert np.abs(draws).max() < 2**57
    assert stats.kstest(draws / float(scale), "laplace" if "laplace" in name else "norm").pvalue > SURELY_WRONG


@pytest.mark.parametrize("scale", [0, -1, Fraction(1, 5), 2**50 + 1, 1.5, 1e3])
def test_scales_out_of_range_are_refused(name, scale):
    with pytest.raises(ValueError, match="whole number or a fraction"):
        draw(name, scale, 3)


def test_the_stated_distance_covers_the_tails_that_are_cut():
    for scale in (Fraction(1, 4), Fraction(1000), Fraction(2**50)):
        digits = len(laplace.thresholds(scale))
        assert 16 * np.exp(-float(2**digits / scale)) < noise.total_variation(1)
    assert noise.total_variation(10**6) < 1e-32
