"""The kernels, executed: by the emulator everywhere, and by a device where there is one."""

import numpy as np
import pytest

from gpu.cuda import gram
from gpu.cuda.backend import CudaDevice
from gpu.cuda.packing import TILE
from gpu.leaves import Base, Function, Leaf
from tests.emulator.emulated import ORDERS, EmulatedDevice
from tests.gpu.cuda.programs import LEAVES, expected, leaf, program, single

DEVICES = {"emulated": EmulatedDevice, "cuda": CudaDevice}
SIZES = (1, 15, 16, 17, 63, 64, 65, 127, 128, 129)
TOLERANCE = {"float32": 2e-6, "float64": 1e-13}
"""Relative to the largest entry; float32's leaves room for an exponent of a few units."""

DTYPES = ("float32", "float64")
PRECISIONS = {"float32": ("float32", "float32"), "float64": ("float64", "float64"), "mixed": ("float32", "float64")}
"""Of the result, and of the points."""

COMPOSITES = {
    "sum": "0 1 +",
    "scaled sum": "0 s 1 +",
    "product": "0 1 *",
    "power": "0 ^",
    "power of a sum": "0 1 + ^ 2 *",
    "nested to the right": "0 1 2 3 + * +",
    "of equal halves": "0 1 + 2 3 + *",
    "same leaf twice": "0 1 * 0 +",
}


@pytest.fixture(params=["emulated", pytest.param("cuda", marks=pytest.mark.gpu)])
def device(request):
    return DEVICES[request.param]()


def evaluate(programs, dtype, device):
    return gram.evaluate(programs, np.dtype(dtype), device)


def assert_close(computed, program, dtype="float64"):
    truth = expected(program)
    assert computed.shape == truth.shape
    assert computed.dtype == dtype
    assert np.abs(computed - truth).max() <= TOLERANCE[dtype] * np.abs(truth).max()


def four_leaves(n, m=None, dtype=np.float64):
    pairs = [
        (Base.SQUARED, Function.MATERN52),
        (Base.IDENTITY, Function.AFFINE),
        (Base.DOT, Function.AFFINE),
        (Base.SINE, Function.EXP),
    ]
    return [leaf(*pair, n, m, d=5, dtype=dtype, factors=True) for pair in pairs]


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize(("base", "function"), LEAVES, ids=lambda kind: kind.name)
def test_a_leaf_is_its_formula(base, function, precision, device):
    dtype, points = PRECISIONS[precision]
    programs = [
        single(base, function, 1, d=1, dtype=points),
        single(base, function, 66, d=5, dtype=points, factors=True),
        single(base, function, 17, 65, d=17, dtype=points),
    ]
    for computed, given in zip(evaluate(programs, dtype, device), programs, strict=True):
        assert_close(computed, given, dtype)


@pytest.mark.parametrize("m", [None, *SIZES])
@pytest.mark.parametrize("code", ["0", "0 1 +"])
def test_any_shapes_share_a_launch(m, code, device):
    programs = [program(four_leaves(n, m), code) for n in SIZES]
    for computed, given in zip(evaluate(programs, "float64", device), programs, strict=True):
        assert_close(computed, given)


@pytest.mark.parametrize("d", [1, 2, 15, 16, 17, 33, 300])
def test_any_number_of_dimensions(d, device):
    given = single(Base.SQUARED, Function.EXP, 20, 9, d=d)
    assert_close(evaluate([given], "float64", device)[0], given)


@pytest.mark.parametrize("precision", PRECISIONS)
@pytest.mark.parametrize("code", COMPOSITES.values(), ids=COMPOSITES)
def test_a_composite_is_its_expression(code, precision, device):
    dtype, points = PRECISIONS[precision]
    programs = [program(four_leaves(65, dtype=points), code), program(four_leaves(9, 70, dtype=points), code)]
    for computed, given in zip(evaluate(programs, dtype, device), programs, strict=True):
        assert_close(computed, given, dtype)


CHAINS = {
    "to the left": "0" + "".join(f" {number} +" for number in range(1, 32)),
    "to the right": " ".join(map(str, range(32))) + " +" * 31,
}


@pytest.mark.parametrize("code", CHAINS.values(), ids=CHAINS)
def test_an_expression_of_32_leaves_fits_the_stack(code, device):
    given = program(four_leaves(5) * 8, code)
    assert_close(evaluate([given], "float64", device)[0], given)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("code", ["0", "0 1 + 3 *"])
def test_a_batch_equals_its_jobs_one_by_one(code, dtype, device):
    programs = [program(four_leaves(n, m, dtype), code) for n, m in [(70, None), (1, 3), (64, None), (9, 130)]]
    together = evaluate(programs, dtype, device)
    for computed, given in zip(together, programs, strict=True):
        np.testing.assert_array_equal(computed, evaluate([given], dtype, device)[0], strict=True)


def test_different_kernels_are_computed_in_their_own_launches():
    device = EmulatedDevice()
    exp, tanh = (Base.SQUARED, Function.EXP), (Base.DOT, Function.TANH)
    programs = [single(*exp, 3), single(*tanh, 4), single(*exp, 5)]
    matrices = evaluate(programs, "float64", device)
    assert [len(matrix) for matrix in matrices] == [3, 4, 5]
    assert len(device.launches) == 2


def test_no_jobs_launch_nothing():
    device = EmulatedDevice()
    assert evaluate([], "float64", device) == []
    assert device.launches == []


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(("base", "function"), LEAVES, ids=lambda kind: kind.name)
def test_a_matrix_of_one_set_is_exactly_symmetric(base, function, dtype, device):
    (matrix,) = evaluate([single(base, function, 100, d=20, dtype=dtype, factors=True)], dtype, device)
    np.testing.assert_array_equal(matrix, matrix.T)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize(
    ("base", "function"),
    [pair for pair in LEAVES if pair[0] is Base.SQUARED],
    ids=lambda kind: kind.name,
)
def test_the_diagonal_of_a_stationary_leaf_is_exactly_its_value_at_0(base, function, dtype, device):
    (matrix,) = evaluate([single(base, function, 70, d=7, dtype=dtype)], dtype, device)
    at_zero = 3 if function is Function.ARC_COSINE_2 else 1
    np.testing.assert_allclose(matrix.diagonal(), at_zero, rtol=np.finfo(dtype).eps if at_zero == 3 else 0)


@pytest.mark.parametrize("rows", [1, 63, 64, 65, 100, 1000])
@pytest.mark.parametrize("m", [None, 70])
def test_panels_are_the_rows_of_the_matrix(rows, m, device):
    given = program(four_leaves(129, m), "0 1 +")
    blocks = [block.copy() for block in gram.panels(given, np.dtype("float64"), rows, device)]
    assert all(len(block) == rows for block in blocks[:-1])
    np.testing.assert_array_equal(np.concatenate(blocks), evaluate([given], "float64", device)[0], strict=True)


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("code", ["0", "0 3 * 1 +"])
def test_the_order_of_threads_changes_nothing(order, code):
    given = program(four_leaves(100), code)
    np.testing.assert_array_equal(
        evaluate([given], "float64", EmulatedDevice(order, seed=7))[0],
        evaluate([given], "float64", EmulatedDevice())[0],
    )


def test_float32_far_from_the_origin_keeps_the_differences_digits(device):
    near = leaf(Base.SQUARED, Function.EXP, 40, d=8, dtype=np.float32)
    far = (np.round(near.u, 2) + np.float32(1000)).astype(np.float32)
    given = program([Leaf(Base.SQUARED, Function.EXP, far, far, 0.3)])
    assert_close(evaluate([given], "float32", device)[0], given, "float32")


@pytest.mark.parametrize(("base", "function"), [(Base.SQUARED, Function.EXP), (Base.ABSOLUTE, Function.EXP)])
def test_float32_sums_over_many_dimensions_stay_within_the_bound(base, function, device):
    given = single(base, function, 12, d=5000, dtype=np.float32)
    assert_close(evaluate([given], "float32", device)[0], given, "float32")


def test_out_of_memory_halves_the_batch():
    programs = [single(Base.SQUARED, Function.EXP, 50, seed=seed) for seed in range(8)]
    device = EmulatedDevice(n_bytes=3 * 50 * 50 * 8)
    for computed, given in zip(evaluate(programs, "float64", device), programs, strict=True):
        assert_close(computed, given)
    assert len(device.launches) == 4


def test_out_of_memory_computes_one_large_matrix_by_panels():
    given = single(Base.SQUARED, Function.EXP, 200)
    device = EmulatedDevice(n_bytes=200 * 200 * 8 // 2)
    assert_close(evaluate([given], "float64", device)[0], given)
    assert len(device.launches) > 1


def test_out_of_memory_makes_panels_lower():
    given = single(Base.SQUARED, Function.EXP, 200)
    blocks = [len(block) for block in gram.panels(given, np.dtype("float64"), 200, EmulatedDevice(n_bytes=130_000))]
    assert sum(blocks) == 200
    assert max(blocks) < 200


@pytest.mark.parametrize(
    ("n_bytes", "needed"), [(20_000, f"{TILE * 200 * 8} bytes.*64 rows of 200"), (1000, "4800 bytes.*the points")]
)
def test_too_little_memory_for_a_row_of_tiles_says_how_much_is_needed(n_bytes, needed):
    given = single(Base.SQUARED, Function.EXP, 200)
    with pytest.raises(MemoryError, match=f"expected {needed}"):
        evaluate([given], "float64", EmulatedDevice(n_bytes=n_bytes))
