import io

import numpy as np
import pytest

from mercer.arrays import to_npy
from mercer.downloads import IntoArray, IntoArrays, IntoFile
from mercer.errors import InvalidArray

MATRIX = np.arange(12.0).reshape(3, 4)
FILE = to_npy(MATRIX)


def feed(body, pieces, *, status=200, headers=None):
    body.begin(status, headers or {"etag": '"1"', "content-length": str(sum(map(len, pieces)))})
    for piece in pieces:
        body.write(piece)


@pytest.mark.parametrize("size", [1, 7, 64, 127, 128, 129, 10_000])
def test_an_array_comes_whole_whatever_the_pieces(size):
    into = IntoArray()
    feed(into.body, [FILE[start : start + size] for start in range(0, len(FILE), size)])
    np.testing.assert_array_equal(into.array(), MATRIX)
    assert into.array().flags.writeable


@pytest.mark.parametrize("received", [5, 100, 128, 150])
def test_a_broken_download_asks_for_the_rest_and_goes_on(received):
    into = IntoArray()
    feed(into.body, [FILE[:received]])
    assert into.body.headers()["Range"] == f"bytes={received}-"
    assert into.body.headers()["If-Range"] == '"1"'
    feed(into.body, [FILE[received:]], status=206)
    np.testing.assert_array_equal(into.array(), MATRIX)


def test_when_all_is_sent_again_the_download_begins_anew():
    into = IntoArray()
    feed(into.body, [to_npy(MATRIX + 1)[:150]])
    feed(into.body, [FILE])
    np.testing.assert_array_equal(into.array(), MATRIX)


def test_without_an_etag_nothing_is_resumed():
    into = IntoArray()
    feed(into.body, [FILE[:100]], headers={"content-length": "1"})
    assert "Range" not in into.body.headers()


def test_a_short_body_is_no_array():
    into = IntoArray()
    feed(into.body, [FILE[:-1]])
    with pytest.raises(InvalidArray, match="ended before"):
        into.array()


def test_a_long_body_is_no_array():
    with pytest.raises(InvalidArray, match="goes on after"):
        feed(IntoArray().body, [FILE + b"x"])


def test_a_download_is_watched():
    seen = []
    feed(IntoArray(lambda phase, fraction: seen.append((phase, fraction))).body, [FILE[:112], FILE[112:]])
    assert seen == [("fetching", 0.5), ("fetching", 1.0)]


def test_a_file_has_its_name_only_when_it_is_complete(tmp_path):
    into = IntoFile(tmp_path / "K.npy")
    feed(into.body, [FILE])
    assert not (tmp_path / "K.npy").exists()
    into.keep()
    into.discard()
    assert [path.name for path in tmp_path.iterdir()] == ["K.npy"]
    np.testing.assert_array_equal(np.load(tmp_path / "K.npy"), MATRIX)


def test_a_discarded_file_leaves_nothing(tmp_path):
    into = IntoFile(tmp_path / "K.npy")
    feed(into.body, [FILE[:100]])
    into.discard()
    assert list(tmp_path.iterdir()) == []


def arrays_of(body, chunk_bytes):
    into = IntoArrays()
    feed(into.body, [body[start : start + chunk_bytes] for start in range(0, len(body), chunk_bytes)])
    return into.arrays()


@pytest.mark.parametrize("chunk_bytes", [1, 7, 12, 128, 200, 10_000])
def test_several_files_in_one_body_are_told_apart(chunk_bytes):
    matrices = [np.ones((2, 3), np.float32), np.arange(4.0), MATRIX]
    found = arrays_of(b"".join(to_npy(matrix) for matrix in matrices), chunk_bytes)
    assert [array.dtype for array in found] == [np.float32, np.float64, np.float64]
    for array, matrix in zip(found, matrices, strict=True):
        np.testing.assert_array_equal(array, matrix)
        assert array.flags.owndata


@pytest.mark.parametrize("missing", [1, len(FILE) - 1, len(FILE) - 20])
def test_a_cut_off_sequence_is_refused(missing):
    with pytest.raises(InvalidArray, match="ended before"):
        arrays_of(FILE + FILE[:-missing], 50)


def test_no_files_are_no_arrays():
    assert arrays_of(b"", 1) == []


def test_a_sequence_that_begins_anew_is_read_from_its_beginning():
    into = IntoArrays()
    feed(into.body, [FILE, FILE[:-5]])
    feed(into.body, [FILE])
    (array,) = into.arrays()
    np.testing.assert_array_equal(array, MATRIX)


def test_numpy_reads_what_is_sent():
    np.testing.assert_array_equal(np.load(io.BytesIO(FILE)), MATRIX)
