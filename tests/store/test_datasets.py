import hashlib
import io
import tracemalloc

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mercer.arrays import DTYPES, digest, header_bytes, to_npy
from mercer.errors import DigestMismatch, InvalidArray, TooLarge, UnknownDataset
from store.datasets import Datasets
from store.local import LocalObjects
from store.uploads import KnownUpload

rng = np.random.default_rng(0)
POINTS = rng.normal(size=(50, 3))
WIDE = rng.normal(size=(20, 5_000))
"""A row is 40 kB, so six make a block: cuts fall inside numbers, rows and blocks."""


def names(objects):
    return {entry.key.rpartition(".")[2] for entry in objects.keys("datasets/")}


@pytest.mark.parametrize("dtype", DTYPES)
def test_every_dtype_is_stored_as_it_came(upload, datasets, dtype):
    array = (POINTS * 10).astype(np.uint8).astype(dtype)
    info = upload(to_npy(array))
    assert (info.shape, info.dtype, info.format) == (array.shape, array.dtype.name, "npy")
    assert info.minima == tuple(array.min(axis=0).astype(float))
    stored = datasets.open(info.digest).matrix
    assert stored.dtype == array.dtype
    np.testing.assert_array_equal(stored, array)


def test_the_stored_file_is_the_uploaded_one(upload, datasets):
    body = to_npy(POINTS)
    info = upload(body)
    assert info.digest == "sha256:" + hashlib.sha256(body).hexdigest()
    assert info.size_bytes == len(body)
    assert b"".join(datasets.read(info.digest)) == body
    assert b"".join(datasets.read(info.digest, 10, 20)) == body[10:20]


def test_what_numpy_saves_is_taken(upload):
    file = io.BytesIO()
    np.save(file, POINTS)
    assert upload(file.getvalue()).shape == POINTS.shape


@given(cuts=st.lists(st.integers(0, WIDE.nbytes + 128), max_size=12))
@settings(max_examples=20, deadline=None)
def test_where_the_body_is_cut_does_not_matter(tmp_path_factory, cuts):
    datasets = Datasets(LocalObjects(tmp_path_factory.mktemp("store")), 2**20)
    body = to_npy(WIDE)
    edges = [0, *sorted(cuts), len(body)]
    with datasets.upload(digest(body), "npy") as receiving:
        for start, stop in zip(edges, edges[1:], strict=False):
            receiving.write(body[start:stop])
        info = receiving.commit()
    assert info.minima == tuple(WIDE.min(axis=0))
    assert b"".join(datasets.read(info.digest)) == body


def test_bytes_may_come_one_by_one(upload):
    assert upload(to_npy(POINTS), chunk_bytes=1).shape == POINTS.shape


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("index", [(0, 0), (5, 4_999), (6, 0), (19, 4_999)])
def test_the_first_number_that_is_not_finite_is_named(upload, objects, value, index):
    array = WIDE.copy()
    array[index] = value
    array[19, 4_999] = np.nan
    with pytest.raises(InvalidArray, match=rf"got NaN or infinity at index \({index[0]}, {index[1]}\)"):
        upload(to_npy(array), chunk_bytes=9_999)
    assert not names(objects)


def npy(shape, body=b"", descr="<f8"):
    return header_bytes(shape, np.dtype(descr)) + body


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", "expected an npy file, got 0 bytes"),
        (b"\x93NUMPY\x01\x00", "got 8 bytes, less than its header"),
        (b"PK\x03\x04 a zip file", "expected it to begin with the bytes"),
        (npy((4, 2))[:100], "got 100 bytes, less than its header"),
        (npy((4, 2)), "the header says 64 bytes of data, got 0"),
        (npy((4, 2), bytes(63)), "the header says 64 bytes of data, got 63"),
        (npy((4, 2), bytes(65)), "the header says 64 bytes of data, got more"),
        (npy((4,), bytes(32)), r"expected shape \(n, d\), got \(4,\); for points on a line save x\[:, None\]"),
        (npy((2, 2, 2), bytes(64)), r"expected shape \(n, d\) with n, d >= 1, got \(2, 2, 2\)"),
        (npy((0, 3)), "n, d >= 1"),
        (npy((3, 0)), "n, d >= 1"),
        (npy((1, 100_001), bytes(800_008)), "expected at most 100000 columns, got 100001"),
        (to_npy(POINTS).replace(b"'<f8'", b"'|O' "), "expected a dtype among"),
    ],
)
def test_what_is_no_matrix_of_points_is_refused(upload, objects, body, reason):
    with pytest.raises(InvalidArray, match=reason):
        upload(body)
    assert not names(objects)


@pytest.mark.parametrize("shape", [(10**5, 10**6), (40_000, 40_000), (2**32, 2**32), (2**53, 2**53)])
def test_a_header_alone_makes_nobody_allocate(upload, shape):
    tracemalloc.start()
    with pytest.raises(TooLarge, match="expected a data set of at most 67,108,864 bytes, got a header for"):
        upload(npy(shape))
    peak_bytes = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak_bytes < 2**20


def test_a_body_over_the_limit_is_refused_while_it_comes(datasets):
    body = npy((2**20, 8))
    with datasets.upload(digest(body), "csv") as receiving:
        for _ in range(64):
            receiving.write(bytes(2**20))
        with pytest.raises(TooLarge, match="at most 67,108,864 bytes, got more"):
            receiving.write(b"1")


def test_a_wrong_digest_is_refused(upload, objects):
    body = to_npy(POINTS)
    with pytest.raises(DigestMismatch, match=f"expected a body with digest {digest(b'x')}, got {digest(body)}"):
        upload(body, name=digest(b"x"))
    assert not names(objects)


def test_an_upload_left_half_way_leaves_nothing(datasets, objects):
    body = to_npy(POINTS)
    with datasets.upload(digest(body), "npy") as receiving:
        receiving.write(body[:500])
    assert datasets.info(digest(body)) is None
    assert not list(objects.keys(""))


def test_the_upload_of_a_known_data_set_moves_no_bytes(upload, datasets):
    info = upload(to_npy(POINTS))
    with datasets.upload(info.digest, "npy") as receiving:
        receiving.write(b"anything")
        assert receiving.commit() == info


def test_two_uploads_of_one_data_set_at_once_agree(datasets):
    body = to_npy(POINTS)
    with datasets.upload(digest(body), "npy") as one, datasets.upload(digest(body), "npy") as other:
        one.write(body)
        other.write(body)
        assert one.commit().shape == other.commit().shape
    assert b"".join(datasets.read(digest(body))) == body


def test_a_matrix_without_its_mark_is_no_data_set(upload, datasets, objects):
    info = upload(to_npy(POINTS))
    objects.delete(next(entry.key for entry in objects.keys("datasets/") if entry.key.endswith("json")))
    assert datasets.info(info.digest) is None
    assert datasets.list() == []
    assert upload(to_npy(POINTS)).digest == info.digest, "and can be uploaded again"


def test_a_mark_without_its_matrix_is_no_data_set(upload, datasets, objects):
    info = upload(to_npy(POINTS))
    objects.delete(next(entry.key for entry in objects.keys("datasets/") if entry.key.endswith("npy")))
    assert datasets.info(info.digest) is None
    upload(to_npy(POINTS))
    assert b"".join(datasets.read(info.digest)) == to_npy(POINTS)


def test_data_sets_are_listed_newest_first(upload, datasets):
    infos = [upload(to_npy(POINTS + shift)) for shift in range(3)]
    assert datasets.list() == infos[::-1]


def test_data_sets_outlive_the_process_that_took_them(local):
    body = to_npy(POINTS)
    with Datasets(local, 2**20).upload(digest(body), "npy") as receiving:
        receiving.write(body)
        info = receiving.commit()
    again = Datasets(LocalObjects(local.local_path("x").parent), 1)
    assert again.info(info.digest) == info


def test_a_deleted_data_set_is_unknown_and_its_readers_read_on(upload, datasets, objects):
    info = upload(to_npy(POINTS))
    mapped = datasets.open(info.digest).matrix
    assert datasets.delete(info.digest)
    assert not datasets.delete(info.digest)
    np.testing.assert_array_equal(mapped, POINTS)
    for refused in (datasets.known, datasets.open):
        with pytest.raises(UnknownDataset, match=f"PUT it to /v1/datasets/{info.digest} first"):
            refused(info.digest)
    with pytest.raises(UnknownDataset):
        datasets.read(info.digest)
    assert not list(objects.keys(""))


def test_an_upload_is_never_held_in_memory(local):
    datasets = Datasets(local, 2**26)
    array = np.zeros((2**18, 8))
    body = to_npy(array)
    with datasets.upload(digest(body), "npy") as receiving:
        tracemalloc.start()
        for start in range(0, len(body), 65_536):
            receiving.write(memoryview(body)[start : start + 65_536])
        receiving.commit()
        peak_bytes = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert peak_bytes < 2**20 < len(body)


def put(datasets, body=None):
    body = to_npy(POINTS) if body is None else body
    with datasets.upload(digest(body), "npy") as receiving:
        receiving.write(body)
        return receiving, receiving.commit()


def test_a_tenants_data_sets_are_nothing_to_another(datasets):
    other = datasets.of("acme")
    _, info = put(datasets)
    assert (other.info(info.digest), other.list(), other.delete(info.digest)) == (None, [], False)
    with pytest.raises(UnknownDataset):
        other.read(info.digest)
    assert datasets.info(info.digest) == info


def test_the_same_bytes_of_another_tenant_are_received_again(datasets):
    tenants = [datasets, datasets.of("acme"), datasets.of("other")]
    received = [put(each) for each in tenants]
    assert not any(isinstance(receiving, KnownUpload) for receiving, _ in received)
    assert [each.list() for each in tenants] == [[info] for _, info in received]
    assert datasets.delete(received[0][1].digest)
    assert tenants[1].known(received[0][1].digest).shape == POINTS.shape
