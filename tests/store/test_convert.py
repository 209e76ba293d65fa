import io

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from store.convert import convert
from store.table import Refused

rng = np.random.default_rng(0)


def matrix(body, format="csv", *, max_bytes=64 * 2**20, max_columns=100):
    """The converted rows and what is said of them."""
    rows = io.BytesIO()
    facts = convert(io.BytesIO(body), format, max_bytes, max_columns, rows)
    return np.frombuffer(rows.getvalue()).reshape(facts["rows"], len(facts["columns"])), facts


def parquet(table, **options):
    file = io.BytesIO()
    pq.write_table(table if isinstance(table, pa.Table) else pa.table(table), file, **options)
    return file.getvalue()


@pytest.mark.parametrize(
    ("body", "columns", "rows"),
    [
        (b"a,b\n1,2\n3,4\n", ("a", "b"), [[1, 2], [3, 4]]),
        (b"a,b\n1,2\n3,4", ("a", "b"), [[1, 2], [3, 4]]),
        (b"a,b\r\n1,2\r\n\r\n3,4\r\n", ("a", "b"), [[1, 2], [3, 4]]),
        (b"a;b\n1;2.5\n", ("a", "b"), [[1, 2.5]]),
        (b"a\tb\n1\t-2e-3\n", ("a", "b"), [[1, -2e-3]]),
        (b"1,2\n3,4\n", ("c0", "c1"), [[1, 2], [3, 4]]),
        (b"1.5\n-2\n", ("c0",), [[1.5], [-2]]),
        (b"\xef\xbb\xbfa,b\n1,2\n", ("a", "b"), [[1, 2]]),
        (b"\xef\xbb\xbf1,2\n", ("c0", "c1"), [[1, 2]]),
        ('"h\u00f6he, m", "x"\n1,2\n'.encode(), ("h\u00f6he, m", '"x"'), [[1, 2]]),
        (b'"two\nlines",b\n1,2\n', ("two\nlines", "b"), [[1, 2]]),
        (b",b\n0,2\n", ("c0", "b"), [[0, 2]]),
        (b"a,b\ntrue,1\nfalse,2\n", ("a", "b"), [[1, 1], [0, 2]]),
        (b"a\n9007199254740993\n", ("a",), [[9007199254740992]]),
    ],
)
def test_csv_as_people_write_it(body, columns, rows):
    array, facts = matrix(body)
    np.testing.assert_array_equal(array, np.array(rows, dtype=float))
    assert facts["columns"] == list(columns)
    assert facts["text_columns"] == []


def test_text_columns_are_kept_out_and_named():
    array, facts = matrix(b'id,name,when,x\n1,"a, b",2024-01-01,0.5\n2,,2024-01-02,1.5\n')
    assert (facts["columns"], facts["text_columns"]) == (["id", "x"], ["name", "when"])
    np.testing.assert_array_equal(array, [[1, 0.5], [2, 1.5]])


def test_whole_numbers_may_turn_into_fractions_later():
    """The first block says integers; the last line does not."""
    array, _ = matrix(b"a\n" + b"1\n" * 600_000 + b"2.5\n")
    assert array.shape == (600_001, 1)
    assert array[-1, 0] == 2.5


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "expected a header row or numbers in the first line, got nothing"),
        (b"\n1,2\n", "expected a header row or numbers in the first line, got nothing"),
        (b"a,b\n", "expected at least one row, got none"),
        (b"a,b\n1,\n", "expected a number in row 0, column 'b', got a missing value"),
        (b"a,b\n1,2\nNA,4\n", "expected a number in row 1, column 'a', got a missing value"),
        (b",2\n1,2\n", "expected a number in row 0, column 'c0', got a missing value"),
        (b"a\n1\n\n2\n", "expected a number in row 1, column 'a', got a missing value"),
        (b"a,b\n1,2\n3,nan\n", "expected a number in row 1, column 'b', got a missing value"),
        (b"a,b\n1,2\n3\n", "expected 2 values in row 1, got 1"),
        (b"a,b\n1,2\n3,4,5\n", "expected 2 values in row 1, got 3"),
        (b"1,2\n3\n", "expected 2 values in row 1, got 1"),
        (b"a,a\n1,2\n", "expected different column names, got 'a' 2 times"),
        (b"a,b\nx,y\n", "expected at least one column of numbers, got 2 columns of text"),
        ("a,b\n1,2\n".encode("utf-16"), "expected text in UTF-8"),
        (b"a,b\n" + b"1,2\n" * 400_000 + b"3,oops\n", "expected a number in row 400000, column 'b', got 'oops'"),
        (b"a\n" + b"true\n" * 300_000 + b"maybe\n", "expected a number in row 300000, column 'a', got 'maybe'"),
    ],
)
def test_a_csv_file_at_fault_is_refused_with_the_place(body, reason):
    with pytest.raises(Refused) as refusal:
        matrix(body)
    assert str(refusal.value) == reason


def test_parquet_by_column_type():
    array, facts = matrix(
        parquet(
            {
                "int": pa.array([1, 2], pa.int8()),
                "text": ["x", "y"],
                "float": pa.array([0.5, 1.5], pa.float32()),
                "flag": [True, False],
                "list": [[1.0], [2.0]],
                "dotted.name": [3.0, 4.0],
            }
        ),
        "parquet",
    )
    assert facts["columns"] == ["int", "float", "flag", "dotted.name"]
    assert facts["text_columns"] == ["text", "list"]
    np.testing.assert_array_equal(array, [[1, 0.5, 1, 3], [2, 1.5, 0, 4]])


def test_parquet_of_many_row_groups_is_the_matrix_it_was_written_from():
    numbers = rng.normal(size=(50_000, 4))
    table = pa.table({f"x{index}": numbers[:, index] for index in range(4)})
    array, _ = matrix(parquet(table, row_group_size=1_717, compression="zstd"), "parquet")
    np.testing.assert_array_equal(array, numbers)


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (parquet({"a": [1, None]}), "expected a number in row 1, column 'a', got a missing value"),
        (parquet({"a": ["x"]}), "expected at least one column of numbers, got 1 columns of text"),
        (parquet({"a": pa.array([], pa.float64())}), "expected at least one row, got none"),
    ],
    ids=range(3),
)
def test_a_parquet_file_at_fault_is_refused(body, reason):
    with pytest.raises(Refused, match=reason):
        matrix(body, "parquet")


@pytest.mark.parametrize("format", ["csv", "parquet"])
def test_more_columns_than_allowed_are_refused_before_anything_is_made_of_them(format):
    names = [f"c{index}" for index in range(101)]
    body = parquet({name: [1.0] for name in names}) if format == "parquet" else ",".join(names).encode()
    with pytest.raises(Refused, match="at most 100 columns, got 101"):
        matrix(body, format)


def test_a_small_file_of_many_rows_is_refused_without_the_memory_for_them():
    """The footer of such a file says a few kilobytes, and how many rows: that many are refused at once."""
    body = parquet({"a": np.zeros(20_000_000)})
    assert len(body) < 200_000
    usual = pa.default_memory_pool()
    measured = pa.proxy_memory_pool(usual)
    pa.set_memory_pool(measured)
    try:
        with pytest.raises(Refused, match="expected at most 64,000,000 bytes as float64, got more than 8,000,000 rows"):
            matrix(body, "parquet", max_bytes=64_000_000)
    finally:
        pa.set_memory_pool(usual)
    assert measured.max_memory() < 16 * 2**20


@pytest.mark.parametrize("format", ["csv", "parquet"])
def test_limits_hold_while_it_is_read(format):
    body = b"a,b\n1,2\n3,4\n" if format == "csv" else parquet({"a": [1, 3], "b": [2, 4]})
    assert matrix(body, format, max_bytes=32, max_columns=2)[1]["rows"] == 2
    with pytest.raises(Refused, match="expected at most 31 bytes as float64, got more than 1 rows"):
        matrix(body, format, max_bytes=31)
    with pytest.raises(Refused, match="expected at most 1 columns, got 2"):
        matrix(body, format, max_columns=1)


def test_a_wide_csv_file_has_rows_longer_than_a_block():
    numbers = rng.normal(size=(3, 60_000))
    array, _ = matrix("\n".join(",".join(map(repr, row)) for row in numbers.tolist()).encode(), max_columns=60_000)
    np.testing.assert_array_equal(array, numbers)


def test_numbers_survive_csv_to_the_last_bit():
    numbers = rng.normal(size=(500, 3)) * 10.0 ** rng.integers(-300, 300, size=(500, 3))
    body = "\n".join(",".join(map(repr, row)) for row in numbers.tolist()).encode()
    np.testing.assert_array_equal(matrix(body)[0], numbers)
