import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from mercer.errors import Unavailable
from store.local import STALE_S, LocalObjects

ROOT = Path(__file__).parents[2]


def put(objects, key, data):
    with objects.writer(key) as writer:
        writer.write(data)
        return writer.commit()


def partial(objects):
    return list((objects.local_path("x").parent / ".partial").iterdir())


def run(code, *arguments):
    """Run a program in a process of its own, and wait for its end."""
    return subprocess.run(
        [sys.executable, "-c", code, *map(str, arguments)], cwd=ROOT, capture_output=True, text=True, check=False
    )


def test_what_was_put_is_read(objects):
    assert put(objects, "a/b", b"hello")
    assert b"".join(objects.read("a/b")) == b"hello"
    assert objects.size("a/b") == 5
    assert objects.local_path("a/b").read_bytes() == b"hello"


@pytest.mark.parametrize(
    ("start", "stop", "expected"), [(0, 4, b"0123"), (3, 7, b"3456"), (8, None, b"89"), (5, 5, b""), (8, 99, b"89")]
)
def test_a_range_is_read_in_chunks(objects, start, stop, expected):
    put(objects, "k", b"0123456789")
    chunks = list(objects.read("k", start, stop, chunk_bytes=3))
    assert b"".join(chunks) == expected
    assert max(map(len, chunks), default=0) <= 3


def test_a_missing_object_is_known_before_the_first_chunk(objects):
    with pytest.raises(KeyError):
        objects.read("missing")
    assert objects.size("missing") is None
    assert not objects.delete("missing")


def test_the_first_commit_of_a_key_wins(objects):
    assert put(objects, "k", b"first")
    assert not put(objects, "k", b"second")
    assert b"".join(objects.read("k")) == b"first"


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


def test_without_a_commit_nothing_is_left(objects):
    with objects.writer("k") as writer:
        writer.write(b"half")
    assert objects.size("k") is None
    assert not partial(objects)


def test_an_error_while_writing_undoes_everything(objects):
    with pytest.raises(TypeError), objects.writer("k") as writer:
        writer.write("no bytes")
    assert objects.size("k") is None
    assert not partial(objects)


def test_bytes_are_durable_before_the_name_and_the_name_before_the_answer(objects, monkeypatch):
    put(objects, "folder/before", b"")
    calls = []
    fsync, link = os.fsync, os.link
    monkeypatch.setattr(os, "fsync", lambda fd: (calls.append(os.readlink(f"/proc/self/fd/{fd}")), fsync(fd)))
    monkeypatch.setattr(os, "link", lambda *paths: (calls.append("link"), link(*paths)))
    put(objects, "folder/k", b"data")
    file, linked, folder = calls
    assert Path(file).parent.name == ".partial"
    assert linked == "link"
    assert Path(folder).name == "folder"


def test_a_new_folder_is_durable_in_its_parent(objects, monkeypatch):
    synced = []
    fsync = os.fsync
    monkeypatch.setattr(os, "fsync", lambda fd: (synced.append(os.readlink(f"/proc/self/fd/{fd}")), fsync(fd)))
    put(objects, "new/deep/k", b"data")
    root = str(objects.local_path("x").parent)
    assert {root, f"{root}/new", f"{root}/new/deep"} <= set(synced)


def test_a_killed_writer_leaves_nothing_visible(tmp_path):
    code = """
import os, signal, sys
from pathlib import Path
from store.local import LocalObjects
with LocalObjects(Path(sys.argv[1])).writer("k") as writer:
    writer.write(b"half")
    os.kill(os.getpid(), signal.SIGKILL)
"""
    assert run(code, tmp_path).returncode == -signal.SIGKILL
    objects = LocalObjects(tmp_path)
    assert objects.size("k") is None
    assert not list(objects.keys(""))


def test_what_a_killed_writer_left_is_cleared_at_a_later_start(tmp_path):
    left = tmp_path / ".partial" / "dead"
    left.parent.mkdir()
    left.write_bytes(b"half")
    LocalObjects(tmp_path)
    assert left.exists(), "it may still be in the making"
    long_ago = time.time() - STALE_S - 60
    os.utime(left, (long_ago, long_ago))
    LocalObjects(tmp_path)
    assert not left.exists()


def test_a_slow_writer_is_not_cleared_away(tmp_path):
    objects = LocalObjects(tmp_path)
    with objects.writer("k") as writer:
        writer.write(b"slow")
        long_ago = time.time() - STALE_S - 60
        os.utime(partial(objects)[0], (long_ago, long_ago))
        LocalObjects(tmp_path)
        assert writer.commit()
    assert b"".join(objects.read("k")) == b"slow"


def test_a_full_disk_is_told_as_such(tmp_path):
    """The limit on a file's size stands in for a full disk: both stop a write half-way."""
    code = """
import resource, sys
from pathlib import Path
from mercer.errors import Unavailable
from store.local import LocalObjects
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
objects = LocalObjects(Path(sys.argv[1]))
try:
    with objects.writer("k") as writer:
        writer.write(bytes(200_000))
except Unavailable as error:
    print(error)
with objects.writer("small") as writer:
    writer.write(bytes(1_000))
    print(writer.commit(), objects.size("k"))
"""
    done = run(code, tmp_path)
    assert done.stdout == "The store is full: File too large.\nTrue None\n", done.stderr
    assert not list((tmp_path / ".partial").iterdir())


def test_more_than_the_free_space_is_refused_at_once(objects):
    with pytest.raises(Unavailable, match=r"expected room for 1,000,000,000,000,000 bytes, got \d"):
        objects.writer("k", expected_bytes=10**15).__enter__()


@pytest.mark.parametrize(
    "key", ["", "/etc/passwd", "../up", "a/../b", "a//b", "a/", ".partial/x", "a/.hidden", "a\0b", "a\nb", "a\\..\\b"]
)
def test_keys_stay_inside_the_folder(objects, key):
    with pytest.raises(ValueError, match="expected a key"):
        objects.local_path(key)


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
    assert objects.delete("k")
    assert next(chunks) == b"56789"
    assert objects.size("k") is None


def test_scratch_files_have_no_name(objects):
    with objects.scratch() as file:
        file.write(b"work")
        file.seek(0)
        assert file.read() == b"work"
        assert not partial(objects)
