import sys

import numpy as np
import pytest
from scipy.stats import t

from mercer.plots import (
    Final,
    PlotsNotInstalled,
    block_means,
    clouds,
    convergence,
    evenly,
    heat_map,
    running,
    student_t,
)


def test_a_small_matrix_is_shown_as_it_is():
    matrix = np.arange(12.0).reshape(3, 4)
    np.testing.assert_array_equal(block_means(matrix), matrix)


@pytest.mark.parametrize(("n", "m"), [(10, 10), (11, 10), (7, 25), (1, 40), (40, 1)])
def test_a_large_matrix_is_shown_by_the_means_of_blocks(n, m):
    matrix = np.random.default_rng(0).random((n, m))
    rows, columns = -(-n // 5), -(-m // 5)
    expected = [[matrix[i : i + rows, j : j + columns].mean() for j in range(0, m, columns)] for i in range(0, n, rows)]
    np.testing.assert_allclose(block_means(matrix, 5), expected)


@pytest.mark.parametrize("shape", [(3, 3), (3, 5), (4,)])
def test_a_picture_is_saved(tmp_path, shape):
    pytest.importorskip("matplotlib")
    path = heat_map(np.ones(shape), tmp_path / "K.png", title="gaussian(lengthscale=2)")
    assert path.read_bytes().startswith(b"\x89PNG")


def test_without_matplotlib_the_error_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(PlotsNotInstalled, match=r"pip install 'mercer\[plot\]'"):
        heat_map(np.ones((2, 2)), tmp_path / "K.png")


@pytest.mark.parametrize("d", [1, 2, 3, 5])
@pytest.mark.parametrize("target", [None, 4])
def test_clouds_are_shown_in_their_first_coordinates(tmp_path, d, target):
    pytest.importorskip("matplotlib")
    snapshots = np.random.default_rng(0).normal(size=(2, 6, d))
    behind = None if target is None else np.ones((target, d))
    path = clouds(snapshots, tmp_path / "flow.svg", titles=["step 1", "step 2"], target=behind)
    assert "<svg" in path.read_text()


@pytest.mark.parametrize(
    ("count", "expected"), [(1, [0]), (3, [0, 1, 2]), (5, [0, 1, 2, 3, 4]), (100, [19, 39, 59, 79, 99])]
)
def test_of_many_clouds_a_few_are_shown_with_the_last(count, expected):
    assert evenly(count, 5) == expected


@pytest.mark.parametrize("size", [2, 3, 40])
def test_a_running_mean_has_the_interval_of_its_values(size):
    values = np.random.default_rng(0).exponential(size=size) + 1e6
    counts, means, half_widths = running(values)
    assert counts.tolist() == list(range(min(5, size), size + 1))
    for count, mean, half_width in zip(counts, means, half_widths, strict=True):
        seen = values[:count]
        assert mean == pytest.approx(seen.mean(), rel=1e-14)
        assert half_width == pytest.approx(t.ppf(0.975, count - 1) * seen.std(ddof=1) / count**0.5, rel=2e-3)


def test_the_quantiles_are_those_of_student():
    dof = np.arange(1, 200)
    np.testing.assert_allclose(student_t(dof), t.ppf(0.975, dof), rtol=2e-3)


@pytest.mark.parametrize("size", [0, 1, 2, 200])
@pytest.mark.parametrize("interval", [None, (0.4, 0.6)])
def test_a_convergence_is_saved(tmp_path, size, interval):
    pytest.importorskip("matplotlib")
    values = np.random.default_rng(0).random(size)
    path = convergence(values, tmp_path / "c.png", final=Final(0.5, interval, 13 * size or 1), title="lebedev")
    assert path.read_bytes().startswith(b"\x89PNG")
