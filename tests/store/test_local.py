import os
import signal
import subprocess
import sys
import time
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


def test_without_a_commit_nothing_is_left(local):
    with local.writer("k") as writer:
        writer.write(b"half")
    assert not partial(local)


def test_bytes_are_durable_before_the_name_and_the_name_before_the_answer(local, monkeypatch):
    put(local, "folder/before", b"")
    calls = []
    fsync, link = os.fsync, os.link
    monkeypatch.setattr(os, "fsync", lambda fd: (calls.append(os.readlink(f"/proc/self/fd/{fd}")), fsync(fd)))
    monkeypatch.setattr(os, "link", lambda *paths: (calls.append("link"), link(*paths)))
    put(local, "folder/k", b"data")
    file, linked, folder = calls
    assert Path(file).parent.name == ".partial"
    assert linked == "link"
    assert Path(folder).name == "folder"


def test_a_new_folder_is_durable_in_its_parent(local, monkeypatch):
    synced = []
    fsync = os.fsync
    monkeypatch.setattr(os, "fsync", lambda fd: (synced.append(os.readlink(f"/proc/self/fd/{fd}")), fsync(fd)))
    put(local, "new/deep/k", b"data")
    root = str(local.local_path("x").parent)
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
    local = LocalObjects(tmp_path)
    assert local.size("k") is None
    assert not list(local.keys(""))


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
    local = LocalObjects(tmp_path)
    with local.writer("k") as writer:
        writer.write(b"slow")
        long_ago = time.time() - STALE_S - 60
        os.utime(partial(local)[0], (long_ago, long_ago))
        LocalObjects(tmp_path)
        assert writer.commit()
    assert b"".join(local.read("k")) == b"slow"


def test_a_full_disk_is_told_as_such(tmp_path):
    """The limit on a file's size stands in for a full disk: both stop a write half-way."""
    code = """
import resource, sys
from pathlib import Path
from mercer.errors import Unavailable
from store.local import LocalObjects
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
local = LocalObjects(Path(sys.argv[1]))
try:
    with local.writer("k") as writer:
        writer.write(bytes(200_000))
except Unavailable as error:
    print(error)
with local.writer("small") as writer:
    writer.write(bytes(1_000))
    print(writer.commit(), local.size("k"))
"""
    done = run(code, tmp_path)
    assert done.stdout == "The store is full: File too large.\nTrue None\n", done.stderr
    assert not list((tmp_path / ".partial").iterdir())


def test_more_than_the_free_space_is_refused_at_once(local):
    with pytest.raises(Unavailable, match=r"expected room for 1,000,000,000,000,000 bytes, got less"):
        local.writer("k", expected_bytes=10**15).__enter__()


def test_scratch_files_have_no_name(local):
    with local.scratch() as file:
        file.write(b"work")
        file.seek(0)
        assert file.read() == b"work"
        assert not partial(local)
