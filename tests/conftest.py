"""What every test may use: one real Valkey for the session, and a fresh namespace for each test."""

import itertools
import os
import tempfile
from pathlib import Path

import pytest

from deploy.valkey import Valkey

_numbers = itertools.count()


@pytest.fixture(scope="session")
def valkey_url():
    with tempfile.TemporaryDirectory(prefix="mercer-", dir="/tmp") as folder, Valkey(Path(folder)) as valkey:
        yield valkey.url


@pytest.fixture
def namespace():
    return f"test-{os.getpid()}-{next(_numbers)}"
