"""What a matrix of sliced Wasserstein distances takes."""

import numpy as np
import pytest
from pydantic import ValidationError

from mercer.arrays import ArrayInfo
from mercer.errors import InvalidSpec
from mercer.points import DatasetReference
from mercer.specs import SlicedWassersteinMatrix

NAME = DatasetReference(dataset="sha256:" + "0" * 64)


def spec(sizes=(3, 2), **options):
    """A job whose arrays are named, not here."""
    return SlicedWassersteinMatrix(points=NAME, sizes=sizes, **options)


def sized(n=5, d=3, **others):
    return {"points": ArrayInfo((n, d), "float64"), **others}


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"sizes": (5,)}, "at least 2 items"),
        ({"sizes": (5, 0)}, "greater than or equal to 1"),
        ({"quantity": "gram"}, "expected gamma with quantity gram"),
        ({"gamma": 1.0}, "expected gamma with quantity gram, and only with it"),
        ({"quantity": "gram", "gamma": 0.0}, "greater than 0"),
        ({"quantity": "gram", "gamma": 1.0, "p": 2.5}, "expected p <= 2 with quantity gram"),
        ({"p": 0.5}, "greater than or equal to 1"),
        ({"p": float("inf")}, "finite"),
        ({"n_projections": 0}, "greater than or equal to 1"),
        ({"method": "lebedev"}, "'auto', 'mc' or 'orthogonal'"),
        ({"weights": [0.5, 0.5, 0.0, 0.5, 0.6]}, "measure 1: expected weights that sum to 1"),
        ({"weights": [1.0, 0.5, -0.5, 0.5, 0.5]}, "measure 0: expected weights >= 0"),
        ({"weights": [0.0, 0.0, 0.0, 1.0, 1.0], "normalize": True}, "measure 0: expected some weight above 0"),
    ],
)
def test_what_does_not_fit_is_refused(options, reason):
    with pytest.raises(ValidationError, match=reason):
        spec(**options)


@pytest.mark.parametrize(
    ("options", "infos", "pointer", "reason"),
    [
        ({}, sized(6), "/sizes", "that sum to the 6 points, got 5"),
        ({"weights": NAME}, sized(weights=ArrayInfo((4, 1), "float64")), "/weights", "expected 5 weights"),
        ({"weights": NAME}, sized(weights=ArrayInfo((5, 1), "float64", -1.0)), "/weights", "expected weights >= 0"),
    ],
)
def test_what_does_not_fit_the_arrays_is_refused_with_its_field(options, infos, pointer, reason):
    with pytest.raises(InvalidSpec) as refusal:
        spec(**options).check(infos)
    assert [error.pointer for error in refusal.value.errors] == [pointer]
    assert reason in refusal.value.errors[0].detail


def test_measures_are_stacked():
    made = SlicedWassersteinMatrix.of([np.ones((2, 3)), np.zeros((1, 3))], weights=[[0.5, 0.5], [1.0]])
    assert made.sizes == (2, 1)
    assert made.points.shape == (3, 3)
    np.testing.assert_array_equal(made.weights[:, 0], [0.5, 0.5, 1.0])


@pytest.mark.parametrize(("d", "method"), [(2, "equispaced"), (3, "lebedev"), (7, "orthogonal"), (200, "mc")])
def test_auto_takes_what_is_best_for_so_many_dimensions(d, method):
    assert spec().sampling(d) == method
    assert spec(method="mc").sampling(d) == "mc"


def test_the_cost_grows_with_points_and_measures():
    few, many = (spec(sizes=(1000,) * n).cost(sized(1000 * n)) for n in (10, 100))
    assert many.flops > 40 * few.flops
    assert many.bytes_out == 8 * 100**2
    assert many.peak_bytes < 2 * few.peak_bytes
    assert spec().batch_key(sized()) != spec(sizes=(10**6, 10**6)).batch_key(sized(2 * 10**6))
