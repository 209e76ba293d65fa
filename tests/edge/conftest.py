"""The service as processes with small limits, spoken to over raw sockets."""

import pytest

from benchmarks.edge.bombing import SETTINGS
from deploy.local import LocalService


@pytest.fixture(scope="module")
def local(tmp_path_factory):
    folder = tmp_path_factory.mktemp("edge")
    with LocalService(folder / "data", workers=0, environment=SETTINGS, logs=folder / "logs") as local:
        yield local
