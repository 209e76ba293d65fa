"""What every test may use: one real Valkey and one whole service for the session, a fresh namespace for each test."""

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
