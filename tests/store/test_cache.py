"""Local copies of remote objects."""

import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from mercer.arrays import digest, to_npy
from mercer.errors import Unavailable
from mercer.points import DatasetReference
from store.cache import Cache
from store.datasets import Datasets

ROOT = Path(__file__).parents[2]


class Remote:
    """A remote object that counts how often it is read."""

    def __init__(self, data):
        self.data = data
        self.reads = 0

    def __call__(self):
        self.reads += 1
        yield self.data


def copies(folder):
    return {path.name: path.stat().st_size for path in folder.rglob("*") if path.is_file() and path.parent == folder}


def fill(cache, key, size):
    cache.fill(key, size, Remote(bytes(size))).close()
    time.sleep(0.01)  # two copies of one moment have no order


def test_a_copy_is_made_once(tmp_path):
    cache, remote = Cache(tmp_path, 100), Remote(b"data")
    assert cache.get("k") is None
    for _ in range(2):
        with cache.fill("k", 4, remote) as file:
            assert file.read() == b"data"
    with cache.get("k") as file:
        assert file.read() == b"data"
    assert remote.reads == 1


def test_of_many_who_want_one_copy_one_makes_it(tmp_path):
    remote, barrier = Remote(b"data" * 1_000), threading.Barrier(8)

    def want(_):
        barrier.wait()
        with Cache(tmp_path, 10_000).fill("k", 4_000, remote) as file:
            return file.read()

    with ThreadPoolExecutor(8) as pool:
        assert set(pool.map(want, range(8))) == {remote.data}
    assert remote.reads == 1


def test_the_copies_opened_longest_ago_give_way(tmp_path):
    cache = Cache(tmp_path, 100)
    for key in ("a", "b", "c"):
        fill(cache, key, 30)
    cache.get("a").close()
    time.sleep(0.01)
    fill(cache, "d", 60)
    assert copies(tmp_path) == {"a": 30, "d": 60}


def test_a_copy_that_gave_way_is_read_on_by_who_has_it(tmp_path):
    cache = Cache(tmp_path, 10)
    with cache.fill("a", 4, Remote(b"data")) as file:
        fill(cache, "b", 10)
        assert file.read() == b"data"
    assert copies(tmp_path) == {"b": 10}


def test_an_object_over_the_limit_is_copied_for_one_use(tmp_path):
    cache = Cache(tmp_path, 3)
    with cache.fill("a", 4, Remote(b"data")) as file:
        assert file.read() == b"data"
    assert copies(tmp_path) == {}


def test_half_an_object_is_no_copy(tmp_path):
    cache = Cache(tmp_path, 100)
    with pytest.raises(Unavailable, match="gave 4 of 8 bytes"):
        cache.fill("a", 8, Remote(b"half"))
    assert cache.get("a") is None
    with cache.fill("a", 8, Remote(b"complete")) as file:
        assert file.read() == b"complete"


KILLED = """
import os, signal, sys
from pathlib import Path
from store.cache import Cache
def read():
    yield b"half"
    os.kill(os.getpid(), signal.SIGKILL)
Cache(Path(sys.argv[1]), 100).fill("k", 8, read)
"""


def test_a_killed_maker_leaves_no_copy_and_no_lock(tmp_path):
    done = subprocess.run([sys.executable, "-c", KILLED, str(tmp_path)], cwd=ROOT, check=False)
    assert done.returncode == -signal.SIGKILL
    cache = Cache(tmp_path, 100)
    assert cache.get("k") is None
    with cache.fill("k", 8, Remote(b"complete")) as file:
        assert file.read() == b"complete"
    [left] = (tmp_path / ".partial").iterdir()
    os.utime(left, (0, 0))
    cache.clear_abandoned()
    assert not list((tmp_path / ".partial").iterdir())


def test_workers_map_the_copy(s3, tmp_path):
    points = np.random.default_rng(0).normal(size=(50, 3))
    body = to_npy(points)
    datasets = Datasets(s3, 2**20)
    with datasets.upload(digest(body), "npy") as receiving:
        receiving.write(body)
        receiving.commit()
    for _ in range(2):
        np.testing.assert_array_equal(datasets.open(digest(body)).matrix, points)
    chosen = DatasetReference(dataset=digest(body), columns=(1,))
    np.testing.assert_array_equal(datasets.open(digest(body)).array(chosen), points[:, [1]])
    assert [path.name for path in (tmp_path / "cache" / "datasets").iterdir()] == [f"{digest(body)[7:]}.npy"]
    assert datasets.delete(digest(body))
    assert not list((tmp_path / "cache" / "datasets").iterdir())
