"""The whole service as a user runs it, with short leases so that recovery is quick."""

import pytest

import mercer
from deploy.local import LocalService


@pytest.fixture(scope="session")
def start():
    """Makes services on a data folder."""

    def make(data_dir):
        environment = {"MERCER_LEASE_S": "1", "MERCER_DEVICE": "cpu", "MERCER_BATCH_JOBS": "32"}
        return LocalService(data_dir, environment=environment, logs=data_dir / "logs")

    return make


@pytest.fixture(scope="module")
def service(tmp_path_factory, start):
    with start(tmp_path_factory.mktemp("service")) as service:
        yield service


@pytest.fixture
def client(service):
    with mercer.Client(service.url) as client:
        yield client
