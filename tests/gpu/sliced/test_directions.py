import numpy as np
import pytest
from scipy import stats
from scipy.special import sph_harm_y

from gpu.sliced.directions import LEBEDEV, RULES, Layout, directions, frames, layout, of_layout, stream

SAMPLINGS = [
    ("mc", 1),
    ("mc", 5),
    ("orthogonal", 1),
    ("orthogonal", 7),
    ("equispaced", 2),
    ("spiral", 3),
    ("lebedev", 3),
]
every_sampling = pytest.mark.parametrize(("method", "d"), SAMPLINGS)


def draw(method, d, n=100, seed=0, replicate=0):
    return directions(method, d, n, stream(seed, replicate))


@every_sampling
@pytest.mark.parametrize("n", [1, 10, 100, 1_000])
def test_rows_have_length_one_and_weights_are_a_distribution(method, d, n):
    drawn = draw(method, d, n)
    assert drawn.rows.shape == (layout(method, d, n).n, d)
    np.testing.assert_allclose(np.linalg.norm(drawn.rows, axis=1), 1, atol=4e-16)
    assert (drawn.weights > 0).all()
    np.testing.assert_allclose(drawn.means(np.ones(len(drawn.rows))), 1, rtol=1e-13)


@pytest.mark.parametrize(("method", "d"), [sampling for sampling in SAMPLINGS if sampling[1] > 1])
def test_a_seed_and_a_replicate_give_the_same_bits_and_others_give_others(method, d):
    first = draw(method, d, seed=2**63 - 1, replicate=3).rows
    np.testing.assert_array_equal(first, draw(method, d, seed=2**63 - 1, replicate=3).rows)
    for other in (draw(method, d, seed=5, replicate=3), draw(method, d, seed=2**63 - 1, replicate=4)):
        assert not np.isclose(first, other.rows).all(axis=1).any()


@pytest.mark.parametrize(
    ("method", "d", "n", "expected"),
    [
        ("mc", 3, 100, (100, 1)),
        ("orthogonal", 3, 100, (34, 3)),
        ("orthogonal", 64, 10, (2, 64)),
        ("lebedev", 3, 1, (2, 3)),
        ("lebedev", 3, 100, (2, 55)),
        ("lebedev", 3, 400, (4, 97)),
        ("lebedev", 3, 100_000, (35, 2_905)),
        ("spiral", 3, 100, (2, 50)),
        ("equispaced", 2, 100, (4, 25)),
        ("equispaced", 2, 1_000, (4, 251)),
    ],
)
def test_the_layout_comes_near_to_what_was_asked_for(method, d, n, expected):
    assert layout(method, d, n) == expected


@pytest.mark.parametrize(("method", "d"), [sampling for sampling in SAMPLINGS if sampling[1] > 1])
def test_every_replicate_is_uniform(method, d):
    """The square of a coordinate of a uniform direction has a beta distribution."""
    shape = Layout(2_000, 1 if method == "mc" else {"orthogonal": d, "lebedev": 13}.get(method, 8))
    rows = of_layout(method, d, shape, stream(1)).rows.reshape(2_000, shape.size, d)
    chosen = rows[np.arange(2_000), np.arange(2_000) % shape.size]
    for axis in (0, d - 1):
        # Its square: a rule has one of each antipodal pair, which is as good as both for even functions.
        assert stats.kstest(chosen[:, axis] ** 2, stats.beta(0.5, (d - 1) / 2).cdf).pvalue > 1e-4


def test_frames_are_orthogonal_and_integrate_quadratic_forms_exactly():
    d = 6
    drawn = draw("orthogonal", d, 4 * d)
    for frame in drawn.rows.reshape(-1, d, d):
        np.testing.assert_allclose(frame @ frame.T, np.eye(d), atol=1e-14)
    form = np.random.default_rng(0).normal(size=(d, d))
    values = np.einsum("li,ij,lj->l", drawn.rows, form, drawn.rows)
    np.testing.assert_allclose(drawn.means(values), np.trace(form) / d, rtol=1e-12)


def test_frames_have_the_uniform_distribution_and_not_that_of_qr():
    """Without the signs, Q's first entry is never positive: LAPACK's reflections make R's diagonal negative."""
    first = frames(3, 4_000, stream(2))[:, 0, 0]
    assert stats.kstest(first, stats.uniform(-1, 2).cdf).pvalue > 1e-4


@pytest.mark.parametrize("size", [size for size in LEBEDEV if size <= 300])
def test_a_half_rule_is_exact_for_even_harmonics_to_its_degree(size):
    rows, weights = RULES["lebedev"](size)
    assert len(rows) == size
    assert weights.min() > 0
    polar, azimuth = np.arccos(np.clip(rows[:, 2], -1, 1)), np.arctan2(rows[:, 1], rows[:, 0])
    for degree in range(2, LEBEDEV[size] + 1, 2):
        for order in range(-degree, degree + 1):
            # The rule's own numbers are given to 1e-12 or so.
            assert abs(weights @ sph_harm_y(degree, order, polar, azimuth)) < 1e-11


def test_the_largest_half_rules_have_their_sizes_and_no_negative_weight():
    for size in (601, 2_905):
        rows, weights = RULES["lebedev"](size)
        assert len(rows) == size
        assert weights.min() > 0


def test_equispaced_angles_are_exact_for_trigonometric_polynomials():
    drawn = draw("equispaced", 2, 20)
    angles = np.arctan2(drawn.rows[:, 1], drawn.rows[:, 0])
    for frequency in (2, 8, 18):
        np.testing.assert_allclose(drawn.means(np.cos(frequency * angles)), 0, atol=1e-13)
    assert abs(drawn.means(np.cos(20 * angles))).max() > 1e-3
