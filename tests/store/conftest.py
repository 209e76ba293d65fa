import pytest

from mercer.arrays import digest
from store.bucket import Location
from store.cache import Cache
from store.datasets import Datasets
from store.local import LocalObjects
from store.s3 import S3Objects
from tests.s3_server import BUCKET


@pytest.fixture
def s3_url(s3_server, namespace, monkeypatch):
    """A prefix of its own, which the environment says how to reach."""
    for name, value in s3_server.environment.items():
        monkeypatch.setenv(name, value)
    return f"s3://{BUCKET}/{namespace}"


@pytest.fixture
def s3(s3_url, tmp_path):
    return S3Objects(Location.of(s3_url), Cache(tmp_path / "cache", 2**30))


@pytest.fixture
def local(tmp_path):
    return LocalObjects(tmp_path / "store")


@pytest.fixture(params=["local", "s3"])
def objects(request):
    """The laws of the store hold for every place that keeps its bytes."""
    return request.getfixturevalue(request.param)


@pytest.fixture
def datasets(objects):
    return Datasets(objects, max_bytes=64 * 2**20)


@pytest.fixture
def upload(datasets):
    """Upload bytes in chunks, by default under their true digest."""

    def upload(body, format="npy", *, name=None, chunk_bytes=65_536):
        with datasets.upload(name or digest(body), format) as receiving:
            for start in range(0, len(body), chunk_bytes):
                receiving.write(body[start : start + chunk_bytes])
            return receiving.commit()

    return upload
