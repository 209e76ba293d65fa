import numpy as np
import pytest
from pydantic import ValidationError

from mercer.arrays import ArrayInfo
from mercer.errors import InvalidSpec
from mercer.points import DatasetReference
from mercer.specs import SlicedWassersteinBarycenter
from mercer.specs.measures import weights_of_parts

NAME = DatasetReference(dataset="sha256:" + "0" * 64)


def spec(sizes=(3, 2), **options):
    """A job whose arrays are named, not here."""
    return SlicedWassersteinBarycenter(points=NAME, sizes=sizes, **options)


def sized(n=5, d=3, **others):
    return {"points": ArrayInfo((n, d), "float64"), **others}


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"sizes": (5,)}, "at least 2 items"),
        ({"shares": (1.0,)}, "expected 2 shares, one for each measure, got 1"),
        ({"shares": (0.5, 0.6)}, "expected shares that sum to 1 within 1e-06, got 1.1"),
        ({"shares": (0.0, 0.0), "normalize": True}, "expected shares that sum to 1"),
        ({"shares": (1.5, -0.5)}, "greater than or equal to 0"),
        ({"weights": [0.5, 0.5, 0.0, 0.5, 0.6]}, "measure 1: expected weights that sum to 1"),
        ({"weights": [1.0, 0.5, -0.5, 0.5, 0.5]}, "measure 0: expected weights >= 0"),
        ({"weights": [0.0, 0.0, 0.0, 1.0, 1.0], "normalize": True}, "measure 0: expected some weight above 0"),
        ({"step_size": 1.1}, "less than or equal to 1"),
        ({"tolerance": -1.0}, "greater than or equal to 0"),
        ({"n_points": 0}, "greater than or equal to 1"),
        ({"directions": "random"}, "'fixed' or 'fresh'"),
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
        ({"start": NAME}, sized(start=ArrayInfo((4, 2), "float64")), "/start", "as points has 3 columns"),
        ({"start": NAME, "n_points": 3}, sized(start=ArrayInfo((4, 3), "float64")), "/n_points", "expected 4 points"),
    ],
)
def test_what_does_not_fit_the_arrays_is_refused_with_its_field(options, infos, pointer, reason):
    with pytest.raises(InvalidSpec) as refusal:
        spec(**options).check(infos)
    assert [error.pointer for error in refusal.value.errors] == [pointer]
    assert reason in refusal.value.errors[0].detail


def test_weights_of_a_data_set_are_checked_when_the_job_runs():
    with pytest.raises(InvalidSpec) as refusal:
        weights_of_parts({"weights": np.array([[1.0], [0.5], [0.6]])}, (1, 2), normalize=False)
    assert refusal.value.errors[0].detail.startswith("measure 1: expected weights that sum to 1")


def test_measures_are_stacked():
    made = SlicedWassersteinBarycenter.of([np.ones((2, 3)), np.zeros((1, 3))], weights=[[0.5, 0.5], [1.0]])
    assert made.sizes == (2, 1)
    assert made.points.tolist() == [[1.0] * 3, [1.0] * 3, [0.0] * 3]
    assert made.weights[:, 0].tolist() == [0.5, 0.5, 1.0]
    assert set(made.arrays()) == {"points", "weights"}


@pytest.mark.parametrize(
    ("options", "infos", "expected"),
    [
        ({}, sized(), 3),
        ({"n_points": 8}, sized(), 8),
        ({"start": NAME}, sized(start=ArrayInfo((4, 3), "float64")), 4),
    ],
)
def test_it_has_as_many_points_as_asked_for(options, infos, expected):
    made = spec(**options)
    assert made.support(infos) == expected
    assert made.cost(infos).bytes_out == 8 * 3 * expected


@pytest.mark.parametrize("larger", [{"n_projections": 200}, {"n_iterations": 200}, {"n_points": 50}])
def test_more_work_costs_more(larger):
    assert spec(**larger).cost(sized()).flops > spec().cost(sized()).flops
