import io
import os
import stat
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from mercer.arrays import from_npy
from mercer.errors import NoResult
from store.results import OWN_OBJECT_BYTES, Results

ROOT = Path(__file__).parents[2]
rng = np.random.default_rng(0)


@pytest.fixture
def results(objects):
    return Results(objects)


def fetch(results, stored):
    return from_npy(b"".join(results.read(*stored)))


def add(batch, array, step=7):
    return batch.add(array.shape, array.dtype, (array[row : row + step] for row in range(0, len(array), step)))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("shape", [(1, 1), (50, 50), (17, 3), (23,)])
def test_answers_come_back_as_they_were(results, shape, dtype):
    arrays = [rng.normal(size=shape).astype(dtype) for _ in range(5)]
    with results.batch("w") as batch:
        stored = [add(batch, array) for array in arrays]
        batch.commit()
    for array, where in zip(arrays, stored, strict=True):
        np.testing.assert_array_equal(fetch(results, where), array)


@pytest.mark.parametrize("n", [0, 1, 5, 2_000])
def test_answers_written_together_come_back_as_they_were(results, n):
    arrays = [rng.normal(size=(index % 7 + 1, 3)).astype(("f4", "f8")[index % 2]) for index in range(n + 2)]
    with results.batch("w") as batch:
        stored = [add(batch, arrays[0]), *batch.add_together(arrays[1:-1]), add(batch, arrays[-1])]
        batch.commit()
    for array, where in zip(arrays, stored, strict=True):
        np.testing.assert_array_equal(fetch(results, where), array, strict=True)
    assert len({where.object for where in stored}) == 1


@pytest.mark.parametrize("taken", [1, 300, 450, 1_000])
def test_what_a_short_write_left_is_written_after_it(results, monkeypatch, taken):
    arrays = list(rng.normal(size=(4, 5, 5)))
    writev = os.writev
    monkeypatch.setattr(os, "writev", lambda fd, parts: writev(fd, [b"".join(parts)[:taken]]))
    with results.batch("w") as batch:
        stored = batch.add_together(arrays)
        batch.commit()
    for array, where in zip(arrays, stored, strict=True):
        np.testing.assert_array_equal(fetch(results, where), array)


def test_numpy_reads_the_file(results):
    array = rng.normal(size=(5, 4))
    with results.batch("w") as batch:
        stored = add(batch, array)
        batch.commit()
    file = io.BytesIO(b"".join(results.read(*stored)))
    np.testing.assert_array_equal(np.load(file, allow_pickle=False), array)


def test_small_answers_share_one_object_and_one_fsync_of_it(local, monkeypatch):
    results = Results(local)
    synced = []
    fsync = os.fsync
    monkeypatch.setattr(os, "fsync", lambda fd: (synced.append(stat.S_ISREG(os.fstat(fd).st_mode)), fsync(fd)))
    with results.batch("w") as batch:
        stored = [add(batch, rng.normal(size=(3, 3))) for _ in range(64)]
        batch.commit()
    assert len({where.object for where in stored}) == 1
    assert sum(synced) == 1


def objects_of(results):
    return [entry.key for entry in results._objects.keys("results/")]


def test_answers_lie_one_after_another_so_that_many_are_read_as_one(results):
    arrays = [rng.normal(size=(rows, 3)) for rows in (1, 2, 5, 4, 3)]
    with results.batch("w") as batch:
        stored = [*[add(batch, array) for array in arrays[:2]], *batch.add_together(arrays[2:])]
        batch.commit()
    whole = io.BytesIO(b"".join(results.read(stored[0].object, 0, sum(where.length for where in stored))))
    for array in arrays:
        np.testing.assert_array_equal(np.load(whole, allow_pickle=False), array)
    assert whole.read() == b""


@pytest.mark.parametrize(("start", "stop"), [(0, None), (0, 10), (100, 150), (130, 10**6)])
def test_a_range_of_an_answer_stays_inside_it(results, start, stop):
    with results.batch("w") as batch:
        stored = [add(batch, rng.normal(size=(3, 3))) for _ in range(3)]
        batch.commit()
    whole = b"".join(results.read(*stored[1]))
    assert len(whole) == stored[1].length
    assert b"".join(results.read(*stored[1], start, stop)) == whole[start:stop]


def test_nothing_is_visible_before_the_commit(results):
    with results.batch("w") as batch:
        stored = add(batch, rng.normal(size=(3, 3)))
        with pytest.raises(NoResult):
            results.read(*stored)
    with pytest.raises(NoResult):
        results.read(*stored)


def failing(first):
    yield first
    raise ZeroDivisionError


@pytest.mark.parametrize("rows", [10, OWN_OBJECT_BYTES // 80], ids=["small", "large"])
def test_an_answer_that_fails_half_way_harms_no_other(results, rows):
    before, after = rng.normal(size=(2, 4, 4))
    with results.batch("w") as batch:
        stored = [add(batch, before)]
        with pytest.raises(ZeroDivisionError):
            batch.add((rows, 20), np.dtype(np.float64), failing(np.ones((3, 20))))
        stored.append(add(batch, after))
        batch.commit()
    np.testing.assert_array_equal(fetch(results, stored[0]), before)
    np.testing.assert_array_equal(fetch(results, stored[1]), after)
    assert len(objects_of(results)) == 1


def test_a_large_answer_that_fails_gives_its_room_back_at_once(local):
    with Results(local).batch("w") as batch:
        with pytest.raises(ZeroDivisionError):
            batch.add((2**11, 2**10), np.dtype(np.float64), failing(np.ones((2**10, 2**10))))
        folder = local.local_path("x").parent / ".partial"
        assert sum(path.stat().st_size for path in folder.iterdir()) == 0


def test_blocks_that_do_not_fill_the_shape_are_refused(results):
    with results.batch("w") as batch, pytest.raises(ValueError, match="expected blocks of 128 bytes in all, got 96"):
        batch.add((4, 4), np.dtype(np.float64), [np.ones((3, 4))])


def test_a_full_disk_fails_one_answer_and_keeps_the_others(tmp_path):
    code = """
import resource, sys
from pathlib import Path
import numpy as np
from mercer.errors import Unavailable
from store.local import LocalObjects
from store.results import Results
resource.setrlimit(resource.RLIMIT_FSIZE, (2**20, 2**20))
results = Results(LocalObjects(Path(sys.argv[1])))
with results.batch("w") as batch:
    small = [batch.add((2,), np.dtype(float), [np.zeros(2)])]
    for rows in (2**18, 2**21):
        try:
            batch.add((rows,), np.dtype(float), [np.zeros(rows)])
        except Unavailable as error:
            print(error)
    try:
        batch.add_together([np.zeros(2**16)] * 3)
    except Unavailable as error:
        print(error)
    batch.commit()
print(len(b"".join(results.read(*small[0]))))
"""
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.stdout == "The store is full: File too large.\n" * 3 + "144\n", done.stderr


def test_old_results_expire_and_young_ones_stay(results):
    def store(name):
        with results.batch(name) as batch:
            stored = add(batch, np.ones((2, 2)))
            batch.commit()
        return stored

    old = store("old")
    between = time.time() + 1.1  # S3 cuts the time to seconds: more than one on either side
    time.sleep(2.2)
    young = store("young")
    assert results.expire(older_than_s=time.time() - between) == 1
    with pytest.raises(NoResult, match="time to live"):
        results.read(*old)
    np.testing.assert_array_equal(fetch(results, young), np.ones((2, 2)))
    assert results.expire(older_than_s=60) == 0


def test_tenants_share_no_object(results):
    array, stored = np.eye(3), {}
    for tenant in ("default", "acme", "other"):
        with results.of(tenant).batch("b") as batch:
            stored[tenant] = batch.add((3, 3), array.dtype, [array])
            batch.commit()
    assert [one.object.rpartition("results/")[0] for one in stored.values()] == ["", "tenants/acme/", "tenants/other/"]
    for one in stored.values():
        np.testing.assert_array_equal(from_npy(b"".join(results.read(*one))), array)
    assert results.expire(3_600) == 0
    assert results.expire(-1) == 3
