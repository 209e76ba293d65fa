import numpy as np
import pytest

from mercer.arrays import to_npy
from mercer.errors import InvalidSpec
from mercer.points import DatasetReference, Rows
from store.selection import select

MATRIX = np.array([[1.0, -2.0, 3.0], [4.0, 5.0, 6.0], [7.0, 8.0, 9.0], [0.5, 0.25, 0.125]])


def array_of(datasets, reference):
    return datasets.open(reference.dataset).array(reference)


def info_of(datasets, reference):
    dataset = datasets.known(reference.dataset)
    return select(dataset, reference).info(dataset)


CSV = b"height,width,name,depth\n" + b"\n".join(b"%g,%g,x,%g" % tuple(row) for row in MATRIX)


@pytest.fixture
def objects(local):
    """Where they are kept is no matter of what is selected."""
    return local


@pytest.fixture
def plain(upload):
    return upload(to_npy(MATRIX)).digest


@pytest.fixture
def table(upload):
    return upload(CSV, "csv").digest


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        (None, [0, 1, 2, 3]),
        (Rows(), [0, 1, 2, 3]),
        (Rows(start=1, stop=3), [1, 2]),
        (Rows(stop=99), [0, 1, 2, 3]),
        (Rows(start=1, step=2), [1, 3]),
        ((3, 0, 0), [3, 0, 0]),
    ],
)
@pytest.mark.parametrize("columns", [None, (2,), (1, 0), (0, 0)])
def test_rows_and_columns_come_in_the_order_asked_for(datasets, plain, rows, expected, columns):
    reference = DatasetReference(dataset=plain, rows=rows, columns=columns)
    array = array_of(datasets, reference)
    np.testing.assert_array_equal(array, MATRIX[expected][:, list(columns or (0, 1, 2))])
    assert array.flags.c_contiguous
    assert info_of(datasets, reference).shape == array.shape


def test_the_whole_is_mapped_and_read_only(datasets, plain):
    array = array_of(datasets, DatasetReference(dataset=plain))
    assert not array.flags.owndata
    with pytest.raises(ValueError, match="read-only"):
        array[0, 0] = 1


def test_columns_are_asked_for_by_name(datasets, table):
    array = array_of(datasets, DatasetReference(dataset=table, columns=("depth", "height")))
    np.testing.assert_array_equal(array, MATRIX[:, [2, 0]])


def test_indices_count_the_numeric_columns(datasets, table):
    np.testing.assert_array_equal(array_of(datasets, DatasetReference(dataset=table, columns=(2,))), MATRIX[:, [2]])


@pytest.mark.parametrize(
    ("columns", "rows", "minimum"),
    [
        (None, None, -2.0),
        ((0, 2), None, 0.125),
        ((0, 2), (1,), 0.125),
        (None, (1,), None),
    ],
)
def test_the_minimum_is_known_from_the_metadata_or_not_at_all(datasets, plain, columns, rows, minimum):
    assert info_of(datasets, DatasetReference(dataset=plain, columns=columns, rows=rows)).minimum == minimum


@pytest.mark.parametrize(
    ("columns", "rows", "pointer", "detail"),
    [
        ((0, 3), None, "/columns/1", "expected a column below 3, got 3"),
        (("height", "hight"), None, "/columns/1", "expected one of 'height', 'width', 'depth', got 'hight'"),
        (("name",), None, "/columns/0", "expected one of 'height', 'width', 'depth', got 'name'"),
        (None, None, "/columns", "text columns ('name'), which are not part of the matrix"),
        ((0,), (0, 4), "/rows/1", "expected a row below 4, got 4"),
        ((0,), Rows(start=4), "/rows", "expected at least one of the 4 rows, got none"),
        ((0,), Rows(start=2, stop=2), "/rows", "expected at least one of the 4 rows, got none"),
    ],
)
def test_what_is_not_there_is_refused_with_its_place(datasets, table, columns, rows, pointer, detail):
    reference = DatasetReference(dataset=table, columns=columns, rows=rows)
    for refused in (info_of, array_of):
        with pytest.raises(InvalidSpec) as refusal:
            refused(datasets, reference)
        [error] = refusal.value.errors
        assert error.pointer == pointer
        assert detail in error.detail


def test_a_name_in_a_data_set_without_names_is_refused(datasets, plain):
    with pytest.raises(InvalidSpec, match="columns have no names: expected an index below 3"):
        info_of(datasets, DatasetReference(dataset=plain, columns=("height",)))


def test_long_lists_of_names_are_cut(upload, datasets):
    header = ",".join(f"column{index}" for index in range(50))
    info = upload(f"{header}\n{','.join('1' * 50)}\n".encode(), "csv")
    with pytest.raises(InvalidSpec, match="'column19' and 30 more, got 'x'"):
        info_of(datasets, DatasetReference(dataset=info.digest, columns=("x",)))
