"""What a kernel expression becomes before a device sees it."""

import numpy as np
import pytest

from gpu.leaves import Base, Function, Instruction, Op
from gpu.prepare import DOUBLE, MAX_SINGLE_DEGREE, SINGLE, TOGETHER, batches, degree, program
from mercer import kernels as k
from tests.gpu.computing import points

X = points(6, 2)


def test_terms_are_combined_in_postfix_order():
    kernel = 0.5 * k.Gaussian() * k.Periodic() + k.Linear() ** 3
    code = program(kernel, X, None, DOUBLE).code
    assert code == (
        Instruction(Op.LEAF, 0),
        Instruction(Op.SCALE, value=0.5),
        Instruction(Op.LEAF, 1),
        Instruction(Op.MULTIPLY),
        Instruction(Op.LEAF, 2),
        Instruction(Op.POWER, 3),
        Instruction(Op.ADD),
    )


@pytest.mark.parametrize(
    ("kernel", "expected"),
    [
        (k.Gaussian(), 1),
        (k.Gaussian() + k.Linear(), 1),
        (k.Gaussian() * k.Linear() * k.Periodic(), 3),
        (2.0 * (k.Gaussian() * k.Linear()) ** 4, 8),
        (k.Polynomial(degree=5) + k.White(), 5),
    ],
    ids=str,
)
def test_the_degree_counts_multiplied_values(kernel, expected):
    assert degree(kernel) == expected


def test_v_is_u_where_y_is_absent():
    for leaf in program(k.Gaussian() + k.ArcCosine() + k.White(), X, None, DOUBLE).leaves:
        assert leaf.v is leaf.u


def test_points_are_left_as_they_are_where_there_is_one_usual_lengthscale():
    (leaf,) = program(k.Gaussian(lengthscale=3.0), X, None, DOUBLE).leaves
    assert np.shares_memory(leaf.u, X)
    assert leaf.a == pytest.approx(0.5 / 9)


def test_an_unusual_lengthscale_is_a_power_of_two_and_a_rest():
    (leaf,) = program(k.Gaussian(lengthscale=3.0 * 2.0**100), X * 2.0**100, None, DOUBLE).leaves
    np.testing.assert_array_equal(leaf.u, X / 4)
    assert leaf.a == pytest.approx(0.5 * (4 / 3) ** 2)


def test_lengthscales_by_dimension_are_taken_from_the_first_point():
    (leaf,) = program(k.Gaussian(lengthscale=[3.0, 5.0]), X, None, DOUBLE).leaves
    np.testing.assert_array_equal(leaf.u, (X - X[0]) / [3.0, 5.0])


@pytest.mark.parametrize(
    ("kernel", "x", "dtype"),
    [
        (k.Gaussian(), X, SINGLE),
        (k.Gaussian(), (X + 1e3).astype(np.float32), SINGLE),
        (k.Gaussian(), X + 1e3, SINGLE),
        (k.Gaussian(), X * 1e3, DOUBLE),
        (k.Gaussian(), (X * 1e3).astype(np.float32), SINGLE),
        (k.Gaussian(lengthscale=[1.0, 2.0]), (X * 1e3).astype(np.float32), DOUBLE),
        (k.Exponential(), X * 1e2, DOUBLE),
        (k.Matern(nu=0.3), X, DOUBLE),
        (k.Matern(nu=0.3), X.astype(np.float32), SINGLE),
        (k.Periodic(lengthscale=0.1), X, DOUBLE),
        (k.Periodic(), X + 1e9, SINGLE),
        (k.Sigmoid(), X, SINGLE),
        (k.Sigmoid(), X * 10, DOUBLE),
        (k.Chi2(), abs(X) * 1e4, DOUBLE),
        (k.Chi2(), np.round(abs(X) * 1e4), SINGLE),
        (k.AdditiveChi2(), abs(X), DOUBLE),
        (k.Polynomial(degree=MAX_SINGLE_DEGREE), X, SINGLE),
        (k.Polynomial(degree=MAX_SINGLE_DEGREE + 1), X, DOUBLE),
        (k.Gaussian() + k.Gaussian(lengthscale=1e-4), X, DOUBLE),
    ],
    ids=str,
)
def test_float32_is_left_where_it_would_lose_digits(kernel, x, dtype):
    made = program(kernel, x, None, SINGLE)
    assert {leaf.u.dtype for leaf in made.leaves} == {dtype}


def test_float64_is_never_left():
    assert program(k.Gaussian(), X.astype(np.float32), None, DOUBLE).leaves[0].u.dtype == DOUBLE


@pytest.mark.parametrize(
    ("nu", "function"),
    [
        (0.5, Function.EXP_ROOT),
        (1.5, Function.MATERN32),
        (2.5, Function.MATERN52),
        (3.5, Function.MATERN_TABLE),
        (0.51, Function.MATERN_TABLE),
    ],
)
def test_matern_is_in_closed_form_where_there_is_one(nu, function):
    (leaf,) = program(k.Matern(nu=nu), X, None, DOUBLE).leaves
    assert (leaf.base, leaf.function) == (Base.SQUARED, function)
    assert (leaf.table is None) == (function is not Function.MATERN_TABLE)


def test_requests_of_one_form_are_prepared_together_whatever_their_numbers():
    requests = [(k.Gaussian(lengthscale=float(s)), points(s, 2), None) for s in range(1, 9)]
    (batch,) = batches(requests, DOUBLE)
    assert batch.indices == list(range(8))
    assert [len(made.leaves[0].u) for made in batch.programs()] == list(range(1, 9))


def test_requests_that_differ_in_form_are_prepared_apart():
    requests = [
        (k.Gaussian(), X, None),
        (k.Gaussian(), X, X),
        (k.Gaussian(), points(6, 3), None),
        (k.Gaussian(active_dimensions=[1]), X, None),
        (k.Linear() + k.White(), X, None),
        (k.Linear() * k.White(), X, None),
    ]
    assert sorted(batch.indices for batch in batches(requests, DOUBLE)) == [[i] for i in range(6)]


def test_only_the_lossy_requests_of_a_batch_go_to_float64():
    requests = [(k.Gaussian(lengthscale=s), X, None) for s in (1.0, 1e-6, 2.0)]
    assert {batch.dtype: batch.indices for batch in batches(requests, SINGLE)} == {SINGLE: [0, 2], DOUBLE: [1]}


def test_a_long_batch_is_prepared_in_parts():
    requests = [(k.Gaussian(), points(2, 1), None)] * (TOGETHER + 1)
    assert [len(batch.indices) for batch in batches(requests, DOUBLE)] == [TOGETHER, 1]


def test_normalising_multiplies_by_a_leaf_of_factors():
    (batch,) = batches([(k.Linear(), np.array([[3.0, 4.0], [0.0, 0.0]]), None)], DOUBLE)
    rows = np.array([25.0, 0.0])
    (made,) = batch.normalised(rows, rows).programs()
    assert made.code[1:] == (Instruction(Op.LEAF, 1), Instruction(Op.MULTIPLY))
    assert made.leaves[1].p.tolist() == [0.2, 0.0]
    assert made.leaves[1].q is not None
