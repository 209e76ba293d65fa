import numpy as np
import pytest
from scipy.integrate import quad

from gpu.cpu.swaps import mean_cost
from tests.gpu.sliced.estimating import cloud, estimate


def by_angles(x, y, count=40_000):
    """The mean over equal steps of the half circle: its error falls with the square of their number."""
    angles = np.pi * (np.arange(count) + 0.5) / count
    rows = np.stack([np.cos(angles), np.sin(angles)], axis=1)
    return ((np.sort(rows @ x.T, axis=1) - np.sort(rows @ y.T, axis=1)) ** 2).mean()


@pytest.mark.parametrize("n", [1, 2, 3, 10, 60])
def test_it_is_the_mean_over_very_many_angles(n):
    for seed in range(3):
        x, y = cloud(n, 2, seed=seed), cloud(n, 2, seed=seed + 10, shift=1.0, scale=2.0)
        np.testing.assert_allclose(mean_cost(x, y), by_angles(x, y), rtol=2e-7)


def test_two_points_each_are_the_integral_by_quadrature():
    x, y = np.array([[0.0, 0.0], [1.0, 0.0]]), np.array([[0.0, 0.0], [0.0, 1.0]])

    def cost(angle):
        u, v = sorted([0, np.cos(angle)]), sorted([0, np.sin(angle)])
        return ((u[0] - v[0]) ** 2 + (u[1] - v[1]) ** 2) / 2

    expected = quad(cost, 0, np.pi, points=[np.pi / 2], epsabs=1e-13)[0] / np.pi
    np.testing.assert_allclose(mean_cost(x, y), expected, rtol=1e-13)


def grid(rows, columns):
    return np.stack(np.meshgrid(np.arange(float(rows)), np.arange(float(columns))), axis=-1).reshape(-1, 2)


@pytest.mark.parametrize(
    ("x", "y"),
    [
        (grid(6, 6), grid(6, 6)[::-1] * 1.5 + 2),
        (grid(12, 1), grid(1, 12)),
        (grid(1, 9), grid(9, 1)[:, ::-1]),
        (np.repeat(grid(3, 3), 4, axis=0), grid(6, 6)),
        (np.zeros((5, 2)), np.ones((5, 2))),
        (-grid(5, 4), grid(4, 5)),
    ],
    ids=["grids", "lines across", "lines along", "duplicates", "points", "mirrored"],
)
def test_points_on_lines_and_duplicates_are_no_exception(x, y):
    """Many pairs swap at one angle, and not all of them are neighbours."""
    np.testing.assert_allclose(mean_cost(x, y), by_angles(x, y), rtol=2e-7)


def test_the_order_of_the_points_is_of_no_matter():
    x = grid(7, 5)
    shuffled = np.random.default_rng(0).permutation(x)
    assert mean_cost(x, shuffled) < 1e-14
    assert mean_cost(x, x) == 0


def test_a_far_offset_costs_no_digits():
    x, y = grid(5, 5), grid(5, 5) * 2
    np.testing.assert_allclose(mean_cost(x + 1e8, y + 1e8), mean_cost(x, y), rtol=1e-9)


def test_the_job_answers_it_without_an_error():
    x, y = cloud(40, 2), cloud(40, 2, seed=1, shift=0.3)
    exact, rule = estimate(x, y, method="exact"), estimate(x, y, n_projections=4_000)
    assert (exact.power_error, exact.power_interval) == (0, (exact.power, exact.power))
    np.testing.assert_allclose(exact.power, mean_cost(x, y), rtol=1e-15)
    assert abs(rule.power - exact.power) < 5 * rule.power_error
