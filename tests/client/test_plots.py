import sys

import numpy as np
import pytest

from mercer.plots import PlotsNotInstalled, block_means, heat_map


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
