"""Random Fourier features: the kernel functions that they estimate, and the bits that they have."""

from fractions import Fraction

import numpy as np
import pytest
from scipy.spatial.distance import cdist
from sklearn.kernel_approximation import RBFSampler

from gpu.private.fourier import FourierSums
from mercer.privacy.fourier import SPECTRA, FourierFeatures, phases, sines
from mercer.privacy.grid import clean, grid
from mercer.privacy.sensitivity import Blocks
from tests.gpu.private.boxes import Box, cube

EXACT = {
    "gaussian": lambda l1, l2: np.exp(-(l2**2) / 2),
    "exponential": lambda l1, l2: np.exp(-l2),
    "laplacian_l1": lambda l1, l2: np.exp(-l1),
    "rational_l2_squared": lambda l1, l2: 1 / (1 + l2**2),
    "rational_l2": lambda l1, l2: 1 / (1 + l2),
    "rational_l1": lambda l1, l2: 1 / (1 + l1),
}


def exact(spectrum, x, y):
    return EXACT[spectrum](cdist(x, y, "cityblock"), cdist(x, y))


def estimate(features, x, y):
    return features.values(x) @ features.values(y).T / features.m


def errors(spectrum, m, seeds, d=3):
    random = np.random.default_rng(0)
    x, y = random.random((12, d)) * 3, random.random((12, d)) * 3
    k = exact(spectrum, x, y)
    box = cube(d, 0.0, 3.0)
    return np.array([estimate(FourierFeatures.draw(spectrum, 1.0, box, m, s), x, y) - k for s in range(seeds)])


def test_every_kernel_function_has_its_formula():
    assert set(EXACT) == set(SPECTRA)


@pytest.mark.parametrize("spectrum", EXACT)
def test_the_mean_over_frequencies_is_the_kernel_function(spectrum):
    one_draw = errors(spectrum, 64, 120)
    assert np.abs(one_draw.mean(axis=0)).max() < 6 / np.sqrt(64 * 120)


@pytest.mark.parametrize("spectrum", EXACT)
def test_the_error_falls_with_the_root_of_the_frequencies(spectrum):
    few, many = (np.sqrt(np.mean(errors(spectrum, m, 40) ** 2)) for m in (16, 256))
    assert 3.4 < few / many < 4.6
    assert many < 1 / np.sqrt(256)


@pytest.mark.parametrize("d", [1, 5, 64])
def test_the_error_is_that_of_random_fourier_features_elsewhere(d):
    random = np.random.default_rng(1)
    x = random.random((40, d))
    scale = np.sqrt(d) / 2
    k = exact("gaussian", x / scale, x / scale)
    ours, theirs = [], []
    for seed in range(12):
        ours.append(estimate(FourierFeatures.draw("gaussian", scale, cube(d), 500, seed), x, x) - k)
        phi = RBFSampler(gamma=0.5 / scale**2, n_components=1000, random_state=seed).fit_transform(x)
        theirs.append(phi @ phi.T - k)
    assert np.std(ours) < 1.3 * np.std(theirs)


def test_each_dimension_has_its_scale():
    random = np.random.default_rng(2)
    x, scales = random.random((20, 3)), np.array([0.5, 1.0, 4.0])
    one = FourierFeatures.draw("gaussian", scales, cube(3), 20_000, 1)
    assert np.abs(estimate(one, x, x) - exact("gaussian", x / scales, x / scales)).max() < 6 / np.sqrt(20_000)


@pytest.mark.parametrize("box", [cube(2, -1e-3, 1e-3), cube(2, 1e6, 1e6 + 1), Box((-1e308, 0.0), (1e308, 0.0))])
def test_boxes_of_any_size_and_place_have_a_grid(box):
    low, high = np.array([box.low]), np.array([box.high])
    positions = grid(box, clean(box, np.concatenate([low, low / 2 + high / 2, high])))
    flat = np.array(box.low) == np.array(box.high)
    assert positions.tolist() == [[0 if f else step for f in flat] for step in (0, 2**19, 2**20)]


def test_phases_are_whole_numbers_modulo_one_turn():
    random = np.random.default_rng(3)
    positions = random.integers(0, 2**20 + 1, (7, 300)).astype(np.uint32)
    turns = random.integers(0, 2**32, (300, 11), np.uint32)
    expected = [
        [sum(a * b for a, b in zip(x, w, strict=True)) % 2**32 for w in turns.T.tolist()] for x in positions.tolist()
    ]
    assert phases(positions, turns).view(np.uint32).tolist() == expected


def test_sines_are_those_of_the_phases_and_never_larger_than_1():
    special = np.array([0, 1, -1, 2**29, 2**29 - 1, -(2**29), 2**30, 2**31 - 1, -(2**31), -(2**30)])
    some = np.concatenate([special, np.random.default_rng(4).integers(-(2**31), 2**31, 50_000)]).astype(np.int32)
    cosine, sine = sines(some)
    angle = some.astype(np.longdouble) * (np.pi / np.longdouble(2**31))
    assert np.abs(cosine - np.cos(angle)).max() < 2.0**-44
    assert np.abs(sine - np.sin(angle)).max() < 2.0**-44
    assert max(np.abs(cosine).max(), np.abs(sine).max()) <= 1
    assert cosine[0] == 1
    assert sine[0] == 0


@pytest.mark.parametrize(("n", "d", "m"), [(1, 1, 1), (9, 4, 127), (50, 5, 128), (33, 64, 300), (200, 3, 129)])
@pytest.mark.parametrize("bits", [1, 16, 20, 24])
def test_compiled_sums_are_those_of_the_formulas_to_the_last_bit(n, d, m, bits):
    features = FourierFeatures.draw("exponential", 0.4, cube(d, -2.0, 5.0), m, 7)
    points = np.random.default_rng(n).normal(size=(n, d)) * 4
    integers = np.trunc(features.values(points) * 2**bits).astype(np.int64)
    sums = np.zeros(2 * m, np.int64)
    FourierSums(features, Blocks(features.m, 2, bits)).add(clean(features.bounds, points), sums)
    assert sums.tolist() == integers.sum(axis=0).tolist()


def test_the_same_seed_draws_the_same_frequencies_and_another_others():
    first, again, other = (FourierFeatures.draw("rational_l1", 0.3, cube(4), 50, seed).turns for seed in (1, 1, 2))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_a_frequency_is_whole_parts_of_a_turn_for_each_step():
    box = cube(1, 0.0, 8.0)
    features = FourierFeatures.draw("gaussian", 2.0, box, 5, 9)
    drawn = np.random.Generator(np.random.Philox(key=9)).standard_normal((5, 1)).ravel() / 2
    for turns, frequency in zip(features.turns[0].tolist(), drawn.tolist(), strict=True):
        exactly = Fraction(frequency) * 8 / Fraction(2 * np.pi) * 2**12
        distance = abs(turns - exactly) % 2**32
        assert min(distance, 2**32 - distance) < 0.501


@pytest.mark.parametrize("scale", [0.0, -1.0, np.nan, np.inf])
def test_scales_that_are_none_are_refused(scale):
    with pytest.raises(ValueError, match="scale above 0"):
        FourierFeatures.draw("gaussian", scale, cube(2), 4, 0)
