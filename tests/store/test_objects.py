"""What every place that keeps the store's bytes promises."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

SIZES = [0, 1, 1_000, 17 * 2**20]
"""The last one goes to S3 in parts."""


def put(objects, key, data):
    with objects.writer(key) as writer:
        writer.write(data)
        return writer.commit()


@pytest.mark.parametrize("size", SIZES)
def test_what_was_put_is_read(objects, size):
    data = bytes(range(256)) * (size // 256) + bytes(size % 256)
    assert put(objects, "a/b", data)
    assert b"".join(objects.read("a/b")) == data
    assert objects.size("a/b") == size
    with objects.local_file("a/b") as file:
        assert file.read() == data


@pytest.mark.parametrize(
    ("start", "stop", "expected"), [(0, 4, b"0123"), (3, 7, b"3456"), (8, None, b"89"), (5, 5, b""), (8, 99, b"89")]
)
def test_a_range_is_read_in_chunks(objects, start, stop, expected):
    put(objects, "k", b"0123456789")
    chunks = list(objects.read("k", start, stop, chunk_bytes=3))
    assert b"".join(chunks) == expected
    assert max(map(len, chunks), default=0) <= 3


@pytest.mark.parametrize("stop", [None, 10, 0])
def test_a_missing_object_is_known_before_the_first_chunk(objects, stop):
    with pytest.raises(KeyError):
        objects.read("missing", 0, stop)
    with pytest.raises(KeyError):
        objects.local_file("missing")
    assert objects.size("missing") is None
    assert not objects.delete("missing")


@pytest.mark.parametrize("size", SIZES[2:])
def test_the_first_commit_of_a_key_wins(objects, size):
    assert put(objects, "k", b"1" * size)
    assert not put(objects, "k", b"2" * size)
    assert b"".join(objects.read("k")) == b"1" * size


def test_of_many_commits_at_once_exactly_one_wins(objects):
    barrier = threading.Barrier(8)

    def race(index):
        with objects.writer("k") as writer:
            writer.write(bytes([index]) * 1_000)
            barrier.wait()
            return index if writer.commit() else None

    with ThreadPoolExecutor(8) as pool:
        winners = [index for index in pool.map(race, range(8)) if index is not None]
    assert b"".join(objects.read("k")) == bytes(winners) * 1_000


@pytest.mark.parametrize("size", SIZES[2:])
def test_without_a_commit_nothing_is_visible(objects, size):
    with objects.writer("k") as writer:
        writer.write(bytes(size))
    assert objects.size("k") is None
    assert not list(objects.keys(""))


def test_an_error_while_writing_undoes_everything(objects):
    with pytest.raises(TypeError), objects.writer("k") as writer:
        writer.write("no bytes")
    assert objects.size("k") is None


@pytest.mark.parametrize(
    "key", ["", "/etc/passwd", "../up", "a/../b", "a//b", "a/", ".partial/x", "a/.hidden", "a\0b", "a\nb", "a\\..\\b"]
)
def test_keys_stay_inside_the_store(objects, key):
    for use in (objects.size, objects.read, objects.local_file, objects.delete, lambda key: put(objects, key, b"")):
        with pytest.raises(ValueError, match="expected a key"):
            use(key)


def test_keys_are_listed_by_prefix(objects):
    for key in ("results/aa/1", "results/ab/2", "datasets/3", "results-not/4"):
        put(objects, key, b"12345")
    before = time.time()
    entries = {entry.key: entry for entry in objects.keys("results/")}
    assert set(entries) == {"results/aa/1", "results/ab/2"}
    assert entries["results/aa/1"].size == 5
    assert abs(entries["results/aa/1"].modified_s - before) < 60
    assert {entry.key for entry in objects.keys("results/a")} == {"results/aa/1", "results/ab/2"}
    assert len(list(objects.keys(""))) == 4


def test_a_reader_reads_on_after_the_deletion(objects):
    put(objects, "k", b"0123456789")
    chunks = objects.read("k", chunk_bytes=5)
    assert next(chunks) == b"01234"
    with objects.local_file("k") as file:
        assert objects.delete("k")
        assert file.read() == b"0123456789"
    assert next(chunks) == b"56789"
    assert objects.size("k") is None
    with pytest.raises(KeyError):
        objects.local_file("k")


def test_a_probe_leaves_nothing_to_be_seen(objects):
    objects.probe()
    objects.probe()
    assert not list(objects.keys(""))


def test_a_scratch_file_is_written_and_read(objects):
    with objects.scratch() as file:
        file.write(b"work")
        file.seek(0)
        assert file.read() == b"work"
