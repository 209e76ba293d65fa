import pytest

from mercer.arrays import digest
from store.datasets import Datasets
from store.local import LocalObjects


@pytest.fixture
def objects(tmp_path):
    return LocalObjects(tmp_path / "store")


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
