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


ROOT = "r" * 32


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.2"])
def test_with_a_root_key_any_address_may_be_bound(host):
    assert Settings(host=host, root_key=ROOT).root == ROOT


def test_the_root_key_may_be_in_a_file(tmp_path):
    file = tmp_path / "root"
    file.write_text(ROOT + "\n")
    assert Settings(host="0.0.0.0", root_key_file=file).root == ROOT


@pytest.mark.parametrize("key", ["", "r" * 31, "r" * 31 + " ", "r" * 40 + "\n", "\u00e9" * 32])
def test_a_weak_root_key_is_refused(key, tmp_path):
    (tmp_path / "root").write_text(key.strip() if len(key.strip()) < 32 else "a b" * 20)
    for options in ({"root_key": key}, {"root_key_file": tmp_path / "root"}):
        with pytest.raises(ValidationError, match="expected a root key of 32 or more printable characters"):
            Settings(**options)


def test_a_root_key_is_never_shown():
    assert ROOT not in repr(Settings(root_key=ROOT))


@pytest.mark.parametrize("name", ["none", "."])
def test_a_root_key_file_that_cannot_be_read_is_refused(tmp_path, name):
    with pytest.raises(ValidationError, match="the root key cannot be read"):
        Settings(root_key_file=tmp_path / name)


def test_a_root_key_comes_from_one_place(tmp_path):
    (tmp_path / "root").write_text(ROOT)
    with pytest.raises(ValidationError, match="got both"):
        Settings(root_key=ROOT, root_key_file=tmp_path / "root")


def test_settings_come_from_the_environment(monkeypatch):
    monkeypatch.setenv("MERCER_PORT", "8123")
    monkeypatch.setenv("MERCER_LEASE_S", "5")  # a worker's
    assert Settings().port == 8123


def test_a_wrong_setting_ends_the_process_with_a_clear_message():
    environment = os.environ | {"MERCER_HOST": "0.0.0.0"}
    ended = subprocess.run([sys.executable, "-m", "service"], env=environment, capture_output=True, text=True)
    assert ended.returncode == 2
    assert ended.stderr.startswith("MERCER_HOST: ")
    assert "set MERCER_ROOT_KEY" in ended.stderr
    assert "Traceback" not in ended.stderr


def test_without_redis_the_process_ends_with_a_clear_message(tmp_path):
    environment = os.environ | {"MERCER_REDIS_URL": f"unix://{tmp_path}/none.sock", "MERCER_DATA_DIR": str(tmp_path)}
    ended = subprocess.run([sys.executable, "-m", "service"], env=environment, capture_output=True, text=True)
    assert ended.returncode == 1
    assert "the queue does not answer" in ended.stderr
    assert "Traceback" not in ended.stderr
