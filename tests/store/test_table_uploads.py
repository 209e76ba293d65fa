import io
from io import FileIO

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mercer.errors import InvalidArray, TooLarge, Unavailable
from mercer.points import DatasetReference
from store.table_uploads import TableBody

rng = np.random.default_rng(0)


@pytest.fixture
def objects(local):
    """Where they are kept is no matter of their conversion."""
    return local


def parquet(columns, **options):
    file = io.BytesIO()
    pq.write_table(pa.table(columns), file, **options)
    return file.getvalue()


@pytest.mark.parametrize("format", ["csv", "parquet"])
def test_a_table_becomes_a_data_set(upload, datasets, format):
    columns = {"x": [1, -2], "name": ["a", "b"], "y": [0.5, 4.0]}
    info = upload(b"x,name,y\n1,a,0.5\n-2,b,4\n" if format == "csv" else parquet(columns), format)
    assert (info.columns, info.text_columns) == (("x", "y"), ("name",))
    assert (info.shape, info.dtype, info.format) == ((2, 2), "float64", format)
    assert info.minima == (-2.0, 0.5)
    assert datasets.info(info.digest) == info
    assert info.size_bytes == len(b"".join(datasets.read(info.digest)))
    array = datasets.open(info.digest).array(DatasetReference(dataset=info.digest, columns=("x", "y")))
    np.testing.assert_array_equal(array, [[1, 0.5], [-2, 4]])


@pytest.mark.parametrize(
    ("format", "body", "reason"),
    [
        ("csv", b"a,b\n1,2\n-inf,4\n", "expected finite numbers, got NaN or infinity at row 1, column 'a'"),
        ("csv", b"a,b\n1,2\n3,1e999\n", "expected finite numbers, got NaN or infinity at row 1, column 'b'"),
        ("parquet", parquet({"a": [1.0, np.nan]}), "expected finite numbers, got NaN or infinity at row 1, column 'a'"),
        ("csv", b"a,b\n1,\n", "expected a number in row 0, column 'b', got a missing value"),
        ("parquet", b"", "not a parquet file that can be read"),
        ("parquet", b"PAR1 garbage PAR1", "not a parquet file that can be read"),
        ("parquet", parquet({"a": [1.0, 2.0]})[:-9], "not a parquet file that can be read"),
    ],
    ids=range(7),
)
def test_a_table_at_fault_is_refused_and_leaves_nothing(upload, objects, format, body, reason):
    with pytest.raises(InvalidArray, match=reason):
        upload(body, format)
    assert not list(objects.keys(""))
    assert not list((objects.local_path("x").parent / ".partial").iterdir())


def test_more_rows_than_the_limit_are_refused(upload):
    with pytest.raises(TooLarge, match="expected at most 67,108,864 bytes as float64, got more than 8,388,608 rows"):
        upload(parquet({"a": np.zeros(8_388_609)}), "parquet")


@pytest.mark.parametrize("position", [20, 1_000, -40])
def test_a_parquet_file_with_a_flipped_byte_is_refused_or_read_but_harms_nobody(upload, position):
    body = bytearray(parquet({"a": rng.normal(size=300), "b": rng.integers(0, 9, 300)}, compression="zstd"))
    body[position] ^= 0xFF
    try:
        info = upload(bytes(body), "parquet")
    except InvalidArray as refusal:
        info = refusal
    assert info


def test_the_same_file_is_converted_to_the_same_bytes(upload, datasets):
    body = "\n".join(f"{x!r},{y!r}" for x, y in rng.normal(size=(1_000, 2)).tolist()).encode()
    stored = []
    for _ in range(2):
        digest = upload(body, "csv").digest
        stored.append(b"".join(datasets.read(digest)))
        datasets.delete(digest)
    assert stored[0] == stored[1]


def test_a_reader_that_dies_is_a_refusal(objects):
    with objects.scratch() as upload, objects.scratch() as rows, objects.writer("k") as writer:
        body = TableBody("no such format", upload, rows, writer, 1_000)
        with pytest.raises(InvalidArray, match="its reader ended with 1"):
            body.finish()


def test_no_room_for_the_rows_is_told_as_such(objects):
    with objects.scratch() as upload, FileIO("/dev/full", "r+b") as rows, objects.writer("k") as writer:
        body = TableBody("csv", upload, rows, writer, 1_000)
        body.write(b"a\n1\n")
        with pytest.raises(Unavailable, match="The store cannot be written: No space left on device"):
            body.finish()
