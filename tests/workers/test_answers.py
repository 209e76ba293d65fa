"""Small results travel in the record, larger ones through the store."""

import json
import math

import numpy as np
import pytest

from gpu.task import Answer
from mercer.arrays import MAX_INLINE, from_npy, to_npy
from mercer.jobs import Result
from workers.answers import record, records
from workers.stopwatch import Stopwatch


def recorded(array, results, facts=None):
    blocks = np.array_split(array, min(3, len(array)))
    with results.batch("test") as stored:
        text = record(Answer(array.shape, array.dtype, blocks, facts or {}), stored, Stopwatch())
        stored.commit()
    return json.loads(text)


def array(shape, dtype="float64"):
    return np.random.default_rng(1).normal(size=shape).astype(dtype)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("shape", [(1, 1), (3, 5), (7,), (MAX_INLINE,), (25, 40)])
def test_a_small_result_is_in_the_record_bit_for_bit(shape, dtype, bench):
    given = array(shape, dtype)
    fields = recorded(given, bench.results)
    assert "object" not in fields
    np.testing.assert_array_equal(np.array(fields["value"], dtype), given)


@pytest.mark.parametrize("shape", [(MAX_INLINE + 1,), (1, 1001), (50, 50), (1, 2_000_000)])
def test_a_larger_result_is_an_npy_file_in_the_store(shape, bench):
    given = array(shape)
    fields = recorded(given, bench.results)
    assert "value" not in fields
    npy = b"".join(bench.results.read(fields["object"], fields["offset"], fields["length"]))
    np.testing.assert_array_equal(from_npy(npy), given)


def test_the_records_of_a_batch_are_in_the_order_of_its_answers(bench):
    given = [array(shape) for shape in ((50, 50), (3, 5), (40, 40), (60, 30), (1, 2_000_000), (33, 33))]
    blocks = [(matrix,) if index % 2 == 0 else iter([matrix]) for index, matrix in enumerate(given)]
    answers = [Answer(matrix.shape, matrix.dtype, some) for matrix, some in zip(given, blocks, strict=True)]
    with bench.results.batch("test") as stored:
        texts = records(answers, stored, Stopwatch())
        stored.commit()
    for text, matrix in zip(texts, given, strict=True):
        fields = json.loads(text)
        where = [fields.get(name) for name in ("object", "offset", "length")]
        read = fields["value"] if "value" in fields else from_npy(b"".join(bench.results.read(*where)))
        np.testing.assert_array_equal(read, matrix)


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_what_json_cannot_say_goes_to_the_store(bad, bench):
    given = np.array([[1.0, bad]])
    fields = recorded(given, bench.results)
    npy = b"".join(bench.results.read(fields["object"], fields["offset"], fields["length"]))
    np.testing.assert_array_equal(from_npy(npy), given)


@pytest.mark.parametrize("shape", [(3, 5), (50, 50)])
def test_the_record_is_the_result_of_the_contract(shape, bench):
    given = array(shape, "float32")
    fields = recorded(given, bench.results, {"positive_definite": True})
    result = Result.model_validate(fields)
    assert (result.shape, result.dtype, result.facts) == (shape, "float32", {"positive_definite": True})
    assert result.size_bytes == len(to_npy(given))
