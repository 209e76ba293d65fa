import os
import subprocess
import sys

import pytest
from pydantic import ValidationError

from service.settings import Settings

FIELDS = Settings.model_fields
MEASURED = ("_s", "_bytes")


@pytest.mark.parametrize("name", FIELDS)
def test_every_setting_is_described(name):
    assert len(FIELDS[name].description or "") > 20


@pytest.mark.parametrize("name", [name for name in FIELDS if name.endswith(MEASURED)])
def test_a_setting_with_a_unit_says_it(name):
    assert {"_s": "in seconds", "_bytes": "in bytes"}["_" + name.rpartition("_")[2]] in FIELDS[name].description


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.2", "example.org", ""])
def test_only_loopback_may_be_bound(host):
    with pytest.raises(ValidationError, match="expected a loopback address"):
        Settings(host=host)


@pytest.mark.parametrize("host", ["127.0.0.1", "127.1.2.3", "::1", "localhost"])
def test_loopback_may_be_bound(host):
    assert Settings(host=host).host == host


def test_settings_come_from_the_environment(monkeypatch):
    monkeypatch.setenv("MERCER_PORT", "8123")
    monkeypatch.setenv("MERCER_LEASE_S", "5")  # a worker's
    assert Settings().port == 8123


def test_a_wrong_setting_ends_the_process_with_a_clear_message():
    environment = os.environ | {"MERCER_HOST": "0.0.0.0"}
    ended = subprocess.run([sys.executable, "-m", "service"], env=environment, capture_output=True, text=True)
    assert ended.returncode == 2
    assert ended.stderr.startswith("MERCER_HOST: ")
    assert "no API keys yet" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_without_redis_the_process_ends_with_a_clear_message(tmp_path):
    environment = os.environ | {"MERCER_REDIS_URL": f"unix://{tmp_path}/none.sock", "MERCER_DATA_DIR": str(tmp_path)}
    ended = subprocess.run([sys.executable, "-m", "service"], env=environment, capture_output=True, text=True)
    assert ended.returncode == 1
    assert "the queue does not answer" in ended.stderr
    assert "Traceback" not in ended.stderr
