"""The domain of private data: numbers, however they are given, and errors of one kind for everything else."""

import numpy as np
import pytest
from pydantic import ValidationError

from mercer.privacy.terms import Box


@pytest.mark.parametrize(
    "wrong", [[None], [10**400], ["a"], [[0.0]], [np.nan], "0", b"0", {"0": 1}, 0.0, None, [], np.zeros((1, 1))]
)
def test_what_is_no_list_of_numbers_is_a_validation_error(wrong):
    with pytest.raises(ValidationError):
        Box(low=wrong, high=[9.0])
    with pytest.raises(ValidationError):
        Box(low=[-9.0], high=wrong)


@pytest.mark.parametrize("wrong", ["[null]", "[1" + "0" * 400 + "]", '["a"]', '"0"', "{}", "null"])
def test_a_document_that_holds_no_numbers_is_a_validation_error(wrong):
    with pytest.raises(ValidationError):
        Box.model_validate_json(f'{{"low": {wrong}, "high": [9.0]}}')


@pytest.mark.parametrize(
    "given",
    [(0, 1), [0.0, 1.0], np.array([0, 1]), np.array([0, 1], np.float32), [np.float32(0), np.int64(1)], range(2)],
)
def test_numbers_may_come_in_any_sequence(given):
    box = Box(low=given, high=[2, 2])
    assert box.low == (0.0, 1.0)
    assert all(type(number) is float for number in box.low)
