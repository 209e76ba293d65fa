"""What an S3-compatible service may do to the store, and what nobody may see of it."""

import signal
import subprocess
import sys
import time
import tracemalloc
from pathlib import Path

import numpy as np
import pytest

from mercer.arrays import digest, to_npy
from mercer.errors import Unavailable
from store import s3_client
from store.bucket import Location
from store.cache import Cache
from store.datasets import Datasets
from store.objects import UnsuitableStore
from store.opening import open_objects
from store.s3 import S3Objects
from store.s3_writer import PART_BYTES
from tests.s3_server import BUCKET, FaultyS3, environment

ROOT = Path(__file__).parents[2]
LARGE = bytes(2 * PART_BYTES + 1)


def put(objects, key, data):
    with objects.writer(key) as writer:
        writer.write(data)
        return writer.commit()


def uploads(s3_server, namespace):
    """The multipart uploads that have not ended."""
    return s3_server.client().list_multipart_uploads(Bucket=BUCKET, Prefix=namespace).get("Uploads", [])


@pytest.fixture
def faulty(s3_server, s3_url, monkeypatch):
    """A broken store that is asked once; what the test does not break works."""
    monkeypatch.setattr(s3_client, "ATTEMPTS", 1)
    with FaultyS3(s3_server.port) as faulty:
        for name, value in faulty.environment.items():
            monkeypatch.setenv(name, value)
        yield faulty


@pytest.fixture
def objects(faulty, s3_url, tmp_path):
    return S3Objects(Location.of(s3_url), Cache(tmp_path / "cache", 2**30))


@pytest.mark.parametrize(
    ("url", "location"),
    [
        ("s3://bucket", ("bucket", "")),
        ("s3://bucket/", ("bucket", "")),
        ("s3://bucket/some/prefix", ("bucket", "some/prefix/")),
        ("s3://bucket/some/", ("bucket", "some/")),
    ],
)
def test_a_url_names_a_bucket_and_a_prefix(url, location):
    assert Location.of(url) == location


def test_objects_are_found_under_their_prefix_by_anybody(s3, s3_server, namespace):
    put(s3, "results/ab/k", b"data")
    stored = s3_server.client().get_object(Bucket=BUCKET, Key=f"{namespace}/results/ab/k")
    assert stored["Body"].read() == b"data"


def test_a_store_that_answers_is_opened_and_left_as_it_was(s3_url, tmp_path, s3_server, namespace):
    objects = open_objects(s3_url, tmp_path, cache_bytes=0)
    assert not list(objects.keys(""))
    assert "Contents" not in s3_server.client().list_objects_v2(Bucket=BUCKET, Prefix=namespace)
    assert not uploads(s3_server, namespace)


@pytest.mark.parametrize("method", ["PUT", "POST"])
def test_a_store_that_would_replace_objects_is_refused(faulty, s3_url, tmp_path, method):
    faulty.faults.ignores = lambda request: {"if-none-match"} if request.command == method else set()
    with pytest.raises(UnsuitableStore, match="ignores If-None-Match"):
        open_objects(s3_url, tmp_path, cache_bytes=0)


@pytest.mark.parametrize(
    ("status", "code", "reason"),
    [
        (403, "AccessDenied", f"denies access to the bucket {BUCKET} \\(AccessDenied\\)"),
        (403, "SignatureDoesNotMatch", f"denies access to the bucket {BUCKET}"),
        (404, "NoSuchBucket", f"has no bucket {BUCKET}"),
        (503, "SlowDown", "is overloaded \\(SlowDown\\)"),
        (507, "InsufficientStorage", "The store is full"),
        (400, "Whatever", "refused a request \\(Whatever\\)"),
    ],
)
def test_a_refusal_says_why(faulty, objects, s3_url, tmp_path, status, code, reason):
    faulty.faults.refuse = lambda request: (status, code)
    uses = [
        lambda: put(objects, "k", b"small"),
        lambda: put(objects, "k", LARGE),
        lambda: objects.read("k"),
        lambda: list(objects.keys("")),
        objects.probe,
        objects.clear_abandoned,
        lambda: open_objects(s3_url, tmp_path, cache_bytes=0),
    ]
    for use in uses:
        with pytest.raises(Unavailable, match=reason):
            use()


def test_a_size_that_may_not_be_seen_is_no_missing_object(faulty, objects):
    faulty.faults.refuse = lambda request: (403, "")
    with pytest.raises(Unavailable, match="denies access"):
        objects.size("k")


def test_a_store_that_is_away_is_told_as_such(s3_url, tmp_path, monkeypatch, faulty):
    monkeypatch.setenv("AWS_ENDPOINT_URL", environment(1)["AWS_ENDPOINT_URL"])
    with pytest.raises(Unavailable, match="does not answer"):
        open_objects(s3_url, tmp_path, cache_bytes=0)


def test_without_credentials_the_reason_is_told(s3_url, tmp_path, monkeypatch):
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    with pytest.raises(Unavailable, match="needs credentials: set AWS_ACCESS_KEY_ID"):
        open_objects(s3_url, tmp_path, cache_bytes=0)


def test_a_probe_of_a_store_that_hangs_ends_soon(faulty, objects):
    faulty.faults.delay_s = 3.0
    start = time.monotonic()
    with pytest.raises(Unavailable, match="does not answer"):
        objects.probe()
    assert time.monotonic() - start < 2.5


def test_a_request_that_fails_once_is_made_again(faulty, s3_url, tmp_path, monkeypatch):
    monkeypatch.setattr(s3_client, "ATTEMPTS", 2)
    objects = S3Objects(Location.of(s3_url), Cache(tmp_path / "cache", 2**30))
    refusals = [(503, "SlowDown")]
    faulty.faults.refuse = lambda request: refusals.pop() if refusals else None
    assert put(objects, "k", b"data")
    assert b"".join(objects.read("k")) == b"data"


def test_an_object_in_parts_whose_completion_was_not_heard_of_is_taken_for_stored(faulty, objects):
    completes = lambda request: request.command == "POST" and "uploadId" in request.path  # noqa: E731
    faulty.faults.misreports = lambda request: (404, "NoSuchUpload") if completes(request) else None
    assert not put(objects, "k", LARGE)
    assert objects.size("k") == len(LARGE)


def test_a_part_that_cannot_be_stored_leaves_nothing(faulty, objects, s3_server, namespace):
    faulty.faults.refuse = lambda request: (507, "XMinioStorageFull") if "partNumber=2" in request.path else None
    with pytest.raises(Unavailable, match="The store is full"):
        put(objects, "k", LARGE)
    assert objects.size("k") is None
    assert not uploads(s3_server, namespace)


def test_a_download_that_breaks_off_goes_on(faulty, objects):
    data = np.random.default_rng(0).bytes(3_000_000)
    put(objects, "k", data)
    breaks = [True, True]
    faulty.faults.cuts = lambda request: request.command == "GET" and bool(breaks and breaks.pop())
    assert b"".join(objects.read("k", 10, 2_999_990, chunk_bytes=65_536)) == data[10:2_999_990]
    assert not breaks


def test_a_download_that_breaks_off_again_and_again_is_an_error(faulty, objects):
    put(objects, "k", bytes(100))
    faulty.faults.cuts = lambda request: request.command == "GET"
    with pytest.raises(Unavailable, match="breaks off"):
        list(objects.read("k"))


KILLED = f"""
import os, signal, sys
from pathlib import Path
from store.bucket import Location
from store.cache import Cache
from store.s3 import S3Objects
objects = S3Objects(Location.of(sys.argv[1]), Cache(Path(sys.argv[2]), 0))
with objects.writer("k") as writer:
    writer.write(bytes({2 * PART_BYTES}))
    writer._parts._arrived()
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_a_killed_writer_leaves_nothing_visible_and_its_parts_are_cleared(
    s3, s3_url, tmp_path, s3_server, namespace, monkeypatch
):
    done = subprocess.run([sys.executable, "-c", KILLED, s3_url, str(tmp_path / "other")], cwd=ROOT, check=False)
    assert done.returncode == -signal.SIGKILL
    assert s3.size("k") is None
    assert not list(s3.keys(""))
    s3.clear_abandoned()
    assert len(uploads(s3_server, namespace)) == 1, "somebody may still be writing it"
    monkeypatch.setattr("store.s3.ABANDONED_S", -60)
    s3.clear_abandoned()
    assert not uploads(s3_server, namespace)
    assert put(s3, "k", b"anew")


def test_a_large_upload_needs_the_memory_of_two_parts(s3):
    body = to_npy(np.zeros((2**20, 6)))
    with Datasets(s3, 2**30).upload(digest(body), "npy") as receiving:
        tracemalloc.start()
        for start in range(0, len(body), 2**20):
            receiving.write(memoryview(body)[start : start + 2**20])
        receiving.commit()
        peak_bytes = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    assert peak_bytes < 3 * PART_BYTES < len(body)


def test_an_object_longer_than_all_usual_parts_gets_larger_ones(s3):
    with s3.writer("k", expected_bytes=200 * 2**30) as writer:
        assert 10_000 * writer._part_bytes > 200 * 2**30
