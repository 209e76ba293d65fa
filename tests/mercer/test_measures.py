import json

import numpy as np
import pytest
from pydantic import ValidationError

from mercer.arrays import ArrayInfo, info_of
from mercer.errors import InvalidSpec
from mercer.points import DatasetReference, PointsField
from mercer.specs import measures
from mercer.specs.base import Spec
from mercer.specs.measures import SizesField, WeightsField, misfits, sizes_misfit, stacked, weights_of

NAME = "sha256:" + "0" * 64


class Weighted(Spec):
    kind: str = "weighted"
    points: PointsField
    normalize: bool = False
    weights: WeightsField | None = None
    sizes: SizesField = (1, 1)

    def arrays(self):
        return {"points": self.points} | ({} if self.weights is None else {"weights": self.weights})


def read(**fields):
    return Weighted.model_validate_json(json.dumps({"points": [[1.0], [2.0]], **fields}))


@pytest.mark.parametrize(
    "given", [[0.25, 0.75], np.array([0.25, 0.75]), np.array([[0.25], [0.75]]), np.float32([0.25, 0.75])]
)
def test_weights_are_one_column_however_they_are_given(given):
    spec = Weighted(points=np.ones((2, 1)), weights=given)
    assert spec.weights.shape == (2, 1)
    np.testing.assert_array_equal(spec.weights[:, 0], [0.25, 0.75])
    again = Weighted.model_validate_json(spec.model_dump_json())
    np.testing.assert_array_equal(again.weights, spec.weights, strict=True)


def test_weights_travel_as_a_flat_list():
    np.testing.assert_array_equal(read(weights=[0.25, 0.75]).weights, [[0.25], [0.75]])


@pytest.mark.parametrize(
    ("weights", "why"),
    [
        ([-0.5, 1.5], "expected weights >= 0, got -0.5 at index 0"),
        ([0.5, 0.6], "expected weights that sum to 1 within 1e-06, got 1.1"),
        ([], "expected at least one point"),
        ([[0.5], [0.5]], "Input should be a valid number"),
        (["a"], "Input should be a valid number"),
        ({"dataset": "a"}, "String should match"),
    ],
)
def test_weights_that_are_none_are_refused_by_their_field(weights, why):
    with pytest.raises(ValidationError) as refused:
        read(weights=weights)
    (error,) = refused.value.errors()
    assert error["loc"][0] == "weights"
    assert why in error["msg"]


@pytest.mark.parametrize("weights", [np.array([np.nan, 1.0]), np.ones((1, 2)), np.ones((1, 1, 1)), np.array(["a"])])
def test_python_values_that_are_no_weights_are_refused(weights):
    with pytest.raises(ValidationError):
        Weighted(points=np.ones((2, 1)), weights=weights)


def test_normalize_takes_any_sum_but_zero():
    assert read(normalize=True, weights=[2.0, 3.0]).weights.sum() == 5
    with pytest.raises(ValidationError, match="expected some weight above 0"):
        read(normalize=True, weights=[0.0, 0.0])


def test_weights_of_a_data_set_are_checked_when_the_job_runs():
    arrays = {"weights": np.array([[0.5], [0.4]])}
    with pytest.raises(InvalidSpec) as refused:
        weights_of(arrays, "weights", normalize=False)
    assert refused.value.errors[0].pointer == "/weights"
    np.testing.assert_allclose(weights_of(arrays, "weights", normalize=True), [5 / 9, 4 / 9], rtol=1e-15)
    assert weights_of({}, "weights", normalize=False) is None


def test_weights_are_divided_by_a_sum_within_the_tolerance():
    near = np.array([[0.5], [0.5 + measures.SUM_TOLERANCE / 2]])
    assert abs(weights_of({"weights": near}, "weights", normalize=False).sum() - 1) < 1e-15


@pytest.mark.parametrize(
    ("info", "why"),
    [
        (ArrayInfo((3, 1), "float64"), "expected 2 weights, one for each point, got shape (3, 1)"),
        (ArrayInfo((2, 2), "float64"), "expected 2 weights"),
        (ArrayInfo((2, 1), "float64", -1.0), "expected weights >= 0, got -1"),
    ],
)
def test_weights_must_fit_their_points(info, why):
    infos = {"points": ArrayInfo((2, 1), "float64"), "weights": info}
    (error,) = misfits(infos, "points", "weights")
    assert error.pointer == "/weights"
    assert why in error.detail
    assert not list(misfits({"points": infos["points"]}, "points", "weights"))


def test_a_column_of_a_data_set_may_be_the_weights():
    reference = DatasetReference(dataset=NAME, columns=("w",))
    assert read(weights={"dataset": NAME, "columns": ["w"]}).weights == reference


def test_measures_are_stacked_with_their_sizes():
    spec = Weighted(**stacked([np.zeros((2, 3)), np.ones((4, 3))]))
    assert spec.sizes == (2, 4)
    infos = {"points": info_of(spec.points)}
    assert not list(sizes_misfit(infos, spec.sizes))
    (error,) = sizes_misfit(infos, (2, 5))
    assert error.detail == "expected sizes that sum to the 6 points, got 7"


@pytest.mark.parametrize("sizes", [[2], [0, 2], [1.5, 1], "11"])
def test_sizes_are_positive_whole_numbers_of_two_measures_at_least(sizes):
    with pytest.raises(ValidationError):
        read(sizes=sizes)
