"""What every test may use: one Valkey, S3 server and whole service for the session, and a namespace of its own."""

import itertools
import os
import tempfile
from pathlib import Path

import pytest

from deploy.local import LocalService
from deploy.valkey import Valkey

_numbers = itertools.count()


@pytest.fixture(scope="session")
def valkey_url():
    with tempfile.TemporaryDirectory(prefix="mercer-", dir="/tmp") as folder, Valkey(Path(folder)) as valkey:
        yield valkey.url


@pytest.fixture(scope="session")
def s3_server():
    from tests.s3_server import S3Server  # boto3 takes time to load, and few tests use it

    with S3Server() as server:
        yield server


@pytest.fixture
def namespace():
    return f"test-{os.getpid()}-{next(_numbers)}"


@pytest.fixture(scope="session")
def local_service():
    """The whole service as processes; tests that harm it start their own."""
    with tempfile.TemporaryDirectory(prefix="mercer-", dir="/tmp") as folder:
        data_dir = Path(folder)
        allowed = {"MERCER_WEBHOOKS_ALLOW_HTTP": "localhost", "MERCER_WEBHOOKS_ALLOW_PRIVATE": "127.0.0.0/8,::1/128"}
        with LocalService(data_dir, environment=allowed, logs=data_dir / "logs") as service:
            yield service
