import hashlib

import numpy as np
import pytest

from mercer.arrays import digest, to_npy
from mercer.errors import InvalidArray, UnsupportedFormat
from mercer.uploads import CHUNK_BYTES, source


@pytest.mark.parametrize(
    "array",
    [
        np.arange(6.0).reshape(2, 3),
        np.arange(6, dtype=np.float32).reshape(2, 3).T,
        np.arange(20, dtype=np.int32).reshape(4, 5)[::2, 1:],
        np.arange(6, dtype=">f8").reshape(2, 3),
        np.zeros((CHUNK_BYTES // 8 + 1, 1)),
    ],
    ids=["C", "transposed", "sliced", "big endian", "several chunks"],
)
def test_an_array_is_sent_as_its_npy_file(array):
    sent = source(array)
    assert b"".join(sent.chunks()) == to_npy(array)
    assert sent.size_bytes == len(to_npy(array))
    assert sent.digest() == digest(to_npy(array))


def test_the_chunks_can_be_sent_again():
    sent = source(np.ones((2, 2)))
    assert list(sent.chunks()) == list(sent.chunks())


def test_a_map_of_a_file_is_sent_as_the_file(tmp_path):
    np.save(tmp_path / "x.npy", np.ones((50, 3)))
    mapped = np.load(tmp_path / "x.npy", mmap_mode="r")
    assert b"".join(source(mapped).chunks())[-1200:] == (tmp_path / "x.npy").read_bytes()[-1200:]


@pytest.mark.parametrize(
    ("suffix", "media_type"),
    [(".npy", "application/x-npy"), (".CSV", "text/csv"), (".parquet", "application/vnd.apache.parquet")],
)
def test_a_file_is_sent_as_its_suffix_says(tmp_path, suffix, media_type):
    path = tmp_path / f"x{suffix}"
    path.write_bytes(b"abc")
    sent = source(path)
    assert (sent.media_type, sent.size_bytes) == (media_type, 3)
    assert sent.digest() == "sha256:" + hashlib.sha256(b"abc").hexdigest()


@pytest.mark.parametrize("name", ["x.xlsx", "x", "x.npz"])
def test_another_suffix_is_refused_with_those_that_are_read(name):
    with pytest.raises(UnsupportedFormat, match=r"\.npy, \.csv, \.parquet"):
        source(name)


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.array([[object()]]), "expected a dtype"),
        (np.ones((2, 2), complex), "got <c16"),
        (np.ones(3), r"got \(3,\)"),
        (np.ones((0, 3)), r"got \(0, 3\)"),
    ],
)
def test_an_array_that_cannot_travel_is_refused_with_what_it_is(array, message):
    with pytest.raises(InvalidArray, match=message):
        source(array)
