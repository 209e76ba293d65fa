"""Programs as buffers."""

import numpy as np
import pytest

from gpu.cuda.packing import LINE, MAX_STACK, pack_arrays, pack_records, precision, reordered
from gpu.leaves import Base, Function, Leaf, Op
from tests.gpu.cuda.programs import leaf, program, single

KIND = (Base.SQUARED, Function.EXP)
DOUBLE = np.dtype("float64")


def depth(code):
    """The most values at once."""
    heights = np.cumsum([{Op.LEAF: 1, Op.ADD: -1, Op.MULTIPLY: -1}.get(step.op, 0) for step in code])
    return heights.max()


def nested(n_leaves, kind):
    """The code of a chain nested to the right or left, or of equal halves."""
    match kind:
        case "right":
            return " ".join(map(str, range(n_leaves))) + " +" * (n_leaves - 1)
        case "left":
            return "0" + "".join(f" {number} *" for number in range(1, n_leaves))
        case "halves":
            parts = [str(number) for number in range(n_leaves)]
            while len(parts) > 1:
                parts = [f"{a} {b} +" for a, b in zip(parts[::2], parts[1::2], strict=True)]
            return parts[0]


@pytest.mark.parametrize("kind", ["right", "left", "halves"])
def test_32_leaves_never_need_more_than_the_devices_stack(kind):
    code = program([leaf(*KIND, 1)] * 32, nested(32, kind)).code
    assert depth(reordered(code)) <= MAX_STACK


def test_more_than_the_stack_holds_is_refused():
    code = program([leaf(*KIND, 1)] * 64, nested(64, "halves")).code
    with pytest.raises(ValueError, match="at most 6 values at once, got 7"):
        reordered(code)


def test_an_array_that_leaves_share_is_copied_once():
    shared = leaf(*KIND, 50)
    assert pack_arrays([program([shared] * 3, "0 1 2 + +")], DOUBLE).buffer.nbytes == 50 * 3 * 8


@pytest.mark.parametrize(
    ("job", "points", "computed"),
    [("float32", "float32", "float32"), ("float32", "float64", "float64"), ("float64", "float32", "float64")],
)
def test_a_program_is_computed_in_the_wider_of_its_dtypes(job, points, computed):
    assert precision(single(*KIND, 2, dtype=points), np.dtype(job)) == computed


def records(programs, panel=None):
    return pack_records(programs, pack_arrays(programs, DOUBLE), panel)


@pytest.mark.parametrize(
    ("n", "m", "tiles"), [(1, None, 1), (64, None, 1), (65, None, 3), (300, None, 15), (65, 64, 2), (65, 129, 6)]
)
def test_a_symmetric_matrix_has_half_of_the_tiles(n, m, tiles):
    assert records([single(*KIND, n, m)]).n_blocks == tiles


def test_a_panel_of_a_symmetric_matrix_has_all_of_its_tiles():
    assert records([single(*KIND, 300)], (64, 128)).n_blocks == 5


def test_each_output_begins_on_a_line():
    packed = records([single(*KIND, n) for n in (3, 7, 20)])
    assert packed.jobs["out"].tolist() == [0, LINE, 3 * LINE]
    assert packed.size == 3 * LINE + 400


def test_offsets_beyond_32_bits_are_kept():
    points = np.zeros((200_000, 0))
    packed = records([program([Leaf(Base.NONE, Function.AFFINE, points, points)])] * 2)
    assert packed.jobs["out"].tolist() == [0, 40_000_000_000]
    assert packed.n_blocks == 3125 * 3126
