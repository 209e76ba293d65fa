"""The matrix of sliced Wasserstein distances: against POT pair by pair, and the laws of metrics and kernels."""

from functools import cache

import numpy as np
import ot
import pytest

from gpu.cpu import sliced_matrix
from gpu.device import Device
from gpu.ops import sliced_wasserstein_matrix as op
from gpu.task import Cancelled, Task
from mercer.errors import InvalidSpec
from mercer.specs import SlicedWassersteinMatrix

POWERS = (1.0, 1.5, 2.0, 3.0)
TOLERANCE = {"float64": 1e-9, "float32": 1e-6}
"""Relative, of costs, which are the squares of what float32 rounds."""


@cache
def cpu():
    return Device("cpu")


def clouds(sizes, d, seed=0):
    random = np.random.default_rng([seed, d])
    return [random.normal(size=(n, d)) * random.uniform(0.5, 2) + random.normal(size=d) for n in sizes]


def weights(sizes, seed=0):
    """Some are zero."""
    random = np.random.default_rng(seed)
    drawn = [random.uniform(0.1, 1, n) * np.append(1, random.uniform(size=n - 1) < 0.8) for n in sizes]
    return [own / own.sum() for own in drawn]


def task(measures, report=lambda fraction: None, **options):
    spec = SlicedWassersteinMatrix.of(measures, **options)
    return Task(spec, spec.arrays(), report)


def matrix(measures, **options):
    """What the job answers."""
    (answer,) = op.run([task(measures, **options)], cpu())
    return answer.array()


def pot(measures, weights, p, rows, quadrature):
    """The costs of all pairs."""
    own = weights or [None] * len(measures)
    n = len(measures)
    out = np.zeros((n, n))
    for i in range(n):
        for j in range(i):
            made = ot.sliced_wasserstein_distance(
                measures[i], measures[j], own[i], own[j], p=p, projections=rows.T, log=True
            )
            out[i, j] = out[j, i] = made[1]["projected_emds"] @ quadrature
    return out


SIZES = {"equal": (40,) * 6, "unequal": (40, 33, 1, 40, 7, 12), "large": (3000, 2999, 3000)}


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("p", POWERS)
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("sizes", SIZES.values(), ids=SIZES)
def test_costs_are_those_of_pot_over_the_same_directions(sizes, weighted, p, dtype):
    measures = clouds(sizes, 4)
    own = weights(sizes) if weighted else None
    options = {"p": p, "n_projections": 12, "dtype": dtype, "weights": own}
    shared = op.directions_of(task(measures, **options).spec, 4)
    expected = pot(measures, own, p, shared.rows, shared.weights)
    np.testing.assert_allclose(
        matrix(measures, quantity="cost", **options), expected, rtol=TOLERANCE[dtype], atol=1e-12
    )


@pytest.mark.parametrize("dtype", TOLERANCE)
def test_costs_on_one_direction_in_many_dimensions_are_exact(dtype):
    """A mean of many would hide the errors of each."""
    measures = np.random.default_rng(1).normal(size=(100, 50, 784))
    options = {"n_projections": 1, "method": "mc", "quantity": "cost", "dtype": dtype}
    (theta,) = op.directions_of(task(list(measures), **options).spec, 784).rows
    positions = np.sort(measures @ theta)
    expected = ((positions[:, None] - positions) ** 2).mean(axis=2)
    np.testing.assert_allclose(matrix(list(measures), **options), expected, rtol=TOLERANCE[dtype])


@pytest.mark.parametrize("d", [1, 2, 3, 5])
@pytest.mark.parametrize("quantity", ["distance", "cost", "gram"])
def test_the_matrix_is_the_formula(quantity, d):
    measures, own = clouds((8, 5, 8, 3), d), weights((8, 5, 8, 3))
    options = {"quantity": quantity, "gamma": 0.3 if quantity == "gram" else None, "n_projections": 9, "weights": own}
    expected = op.reference((job := task(measures, **options)).spec, job.arrays)
    np.testing.assert_allclose(matrix(measures, **options), expected, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("dtype", TOLERANCE)
@pytest.mark.parametrize("p", [1.0, 1.5, 2.0])
@pytest.mark.parametrize("method", ["auto", "mc", "orthogonal"])
@pytest.mark.parametrize("d", [2, 3, 6])
def test_a_gram_matrix_is_positive_semi_definite(d, method, p, dtype):
    base = clouds((20, 15), d)
    measures = [base[k % 2] + 1e-4 * k for k in range(12)] + clouds((20, 11, 9, 20), d, seed=1)
    gram = matrix(measures, quantity="gram", gamma=0.2, p=p, method=method, n_projections=7, dtype=dtype)
    assert np.linalg.eigvalsh(gram).min() >= -1e-10 * len(measures)
    assert (gram.diagonal() == 1).all()


@pytest.mark.parametrize("quantity", ["distance", "cost"])
@pytest.mark.parametrize("p", POWERS)
def test_the_matrix_is_symmetric_and_its_diagonal_zero_to_the_last_bit(p, quantity):
    got = matrix(clouds((9, 12, 9, 30, 2), 3), p=p, quantity=quantity)
    np.testing.assert_array_equal(got, got.T)
    assert not got.diagonal().any()
    assert (got[~np.eye(5, dtype=bool)] > 0).all()


@pytest.mark.parametrize("p", POWERS)
def test_distances_meet_the_triangle_inequality(p):
    distance = matrix(clouds((9, 12, 9, 30, 2, 5), 3), p=p, n_projections=5)
    assert (distance[:, None] <= distance[:, :, None] + distance[None] + 1e-12).all()


def test_another_order_of_the_measures_is_another_order_of_the_matrix():
    measures, own = clouds((9, 12, 9, 30, 2), 3), weights((9, 12, 9, 30, 2))
    order = [3, 1, 4, 0, 2]
    moved = matrix([measures[k] for k in order], weights=[own[k] for k in order])
    np.testing.assert_allclose(moved, matrix(measures, weights=own)[np.ix_(order, order)], rtol=1e-12)


@pytest.mark.parametrize("dtype", TOLERANCE)
def test_measures_that_are_near_each_other_keep_their_small_distance(dtype):
    x, far = clouds((50, 50), 3)
    shift, offset = 2.0**-20, 1e6
    got = matrix([x + offset, x + offset + shift, far], dtype=dtype, method="orthogonal", n_projections=3)
    np.testing.assert_allclose(got[0, 1], shift, atol=offset * 2.0**-52)


def test_equal_measures_are_at_distance_zero_and_weights_of_zero_do_not_count():
    x = clouds((30,), 3)[0]
    own = [np.full(30, 1 / 30), np.append(np.full(30, 1 / 30), 0.0)]
    assert not matrix([x, np.concatenate([x, x[:1] + 9])], weights=own).any()


def test_no_answer_depends_on_how_directions_are_cut(monkeypatch):
    measures, own = clouds((9, 12, 9), 3), weights((9, 12, 9))
    whole = matrix(measures, weights=own)
    monkeypatch.setattr(sliced_matrix, "CHUNK_BYTES", 2000)
    np.testing.assert_allclose(matrix(measures, weights=own), whole, rtol=1e-13)


def test_it_reports_progress_and_ends_when_cancelled(monkeypatch):
    monkeypatch.setattr(sliced_matrix, "CHUNK_BYTES", 2000)
    heard = []

    def report(fraction):
        heard.append(fraction)
        if len(heard) == 3:
            raise Cancelled

    with pytest.raises(Cancelled):
        op.run([task(clouds((9, 12, 9), 3), report)], cpu())
    assert 0 < heard[0] < heard[1] < heard[2] < 1


def test_weights_of_a_data_set_are_checked_when_the_job_runs():
    spec = SlicedWassersteinMatrix.of(clouds((3, 2), 2))
    arrays = {"points": spec.points, "weights": np.array([[0.5], [0.5], [0.5], [0.5], [0.5]])}
    with pytest.raises(InvalidSpec, match="measure 0: expected weights that sum to 1"):
        op.run([Task(spec, arrays)], cpu())


def test_facts_tell_the_directions_and_where_it_was_computed():
    (answer,) = op.run([task(clouds((3, 2), 3))], cpu())
    assert answer.facts == {"n_projections": 97, "method": "lebedev", "computed_on": "cpu"}
