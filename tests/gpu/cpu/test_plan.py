"""How a large matrix is cut up."""

import numpy as np
import pytest

from gpu.cpu import plan as module
from gpu.cpu.plan import EDGE, MIRROR_WORK, PRODUCT_DIMENSIONS, SLAB_ROWS, plan
from gpu.prepare import DOUBLE, program
from mercer import kernels as k

CHEAP, MIRRORED, PRODUCT = 3, MIRROR_WORK, PRODUCT_DIMENSIONS


def planned(n, m, d, rows):
    x = np.zeros((n, d))
    return plan(program(k.Gaussian(), x, None if m is None else np.zeros((m, d)), DOUBLE), rows)


@pytest.mark.parametrize("d", [CHEAP, MIRRORED, PRODUCT])
@pytest.mark.parametrize("m", [None, 700, 1])
@pytest.mark.parametrize("rows", [9, 100, 1100])
@pytest.mark.parametrize("whole_bytes", [0, 2**30])
def test_every_entry_is_computed_exactly_once(d, m, rows, whole_bytes, monkeypatch):
    monkeypatch.setattr(module, "WHOLE_BYTES", whole_bytes)
    cut = planned(1100, m, d, rows)
    seen = np.zeros((cut.n, cut.m), int)
    for row, row_end in cut.panels():
        for part in cut.parts(row, row_end):
            assert row <= part.row < part.row_end <= row_end
            seen[part.row : part.row_end, part.column : part.column_end] += 1
            if cut.mirrored and part.row != part.column:
                seen[part.column : part.column_end, part.row : part.row_end] += 1
    assert (seen == 1).all()


@pytest.fixture
def no_whole(monkeypatch):
    """As if every matrix was too large to be computed as a whole."""
    monkeypatch.setattr(module, "WHOLE_BYTES", 0)


@pytest.mark.parametrize("d", [CHEAP, MIRRORED, PRODUCT])
@pytest.mark.parametrize("rows", [1, 100, 600, 1100])
def test_no_panel_has_more_rows_than_there_is_memory_for(d, rows, no_whole):
    assert all(end - start <= rows for start, end in planned(1100, None, d, rows).panels())


@pytest.mark.parametrize(
    ("d", "m", "rows", "mirrored"),
    [
        (CHEAP, None, 1100, False),
        (MIRRORED, None, 1100, True),
        (MIRRORED, None, 1099, False),
        (MIRRORED, 1100, 1100, False),
    ],
)
def test_half_is_copied_where_that_pays_and_the_whole_is_at_hand(d, m, rows, mirrored, no_whole):
    assert planned(1100, m, d, rows).mirrored == mirrored


@pytest.mark.parametrize("rows", [16, 100, 600])
def test_tiles_of_a_streamed_symmetric_matrix_are_squares_of_one_grid(rows, no_whole):
    """A tile below the diagonal is then the image of one above it."""
    cut = planned(1100, None, PRODUCT, rows)
    assert cut.edge <= min(rows, EDGE)
    assert all(row % cut.edge == 0 for row, _ in cut.panels())


def test_a_symmetric_matrix_that_fits_is_one_panel_where_half_is_copied():
    assert planned(1100, None, MIRRORED, 100).panels() == [(0, 1100)]
    assert len(planned(1100, None, CHEAP, 100).panels()) == 11


def test_slabs_take_all_columns():
    cut = planned(1000, 300, CHEAP, 1000)
    assert {(part.column, part.column_end) for part in cut.parts(0, 1000)} == {(0, 300)}
    assert len(cut.parts(0, 1000)) == -(-1000 // SLAB_ROWS)
