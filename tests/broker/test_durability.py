"""A service that requires a durable queue starts on no other."""

import logging
import os
import resource
import subprocess
import time

import pytest
from redis import Redis

from broker.durability import require_durable, tell_promise
from broker.faults import UnsuitableRedis
from broker.service_broker import ServiceBroker
from deploy.valkey import Valkey, server_binary


@pytest.fixture(scope="module")
def durable(tmp_path_factory):
    with Valkey(tmp_path_factory.mktemp("durable"), appendfsync="always") as valkey:
        Redis.from_url(valkey.url).config_set("no-appendfsync-on-rewrite", "no")
        yield valkey


@pytest.fixture
def changed(durable):
    """Sets something at the server until the test ends."""
    redis, before = Redis.from_url(durable.url, decode_responses=True), {}

    def change(name, value):
        before[name] = redis.config_get(name)[name]
        redis.config_set(name, value)

    yield change
    for name, value in before.items():
        redis.config_set(name, value)


def test_a_server_that_fsyncs_each_write_is_taken(durable, namespace):
    require_durable(durable.url, namespace)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("appendfsync", "everysec"),
        ("appendfsync", "no"),
        ("appendonly", "no"),
        ("no-appendfsync-on-rewrite", "yes"),
        ("maxmemory-policy", "allkeys-lru"),
    ],
)
def test_one_that_may_lose_a_job_is_refused_and_told_why(durable, namespace, changed, name, value):
    changed(name, value)
    with pytest.raises(UnsuitableRedis, match=f"{name} .*, got {value}.*start it with: appendonly yes"):
        require_durable(durable.url, namespace)


def test_the_embedded_default_is_refused_where_it_is_required(valkey_url, namespace):
    with pytest.raises(UnsuitableRedis, match="expected appendfsync always, got no"):
        require_durable(valkey_url, namespace)


@pytest.fixture
def managed_url(durable, namespace):
    """The same server for a user who may not look at its configuration, as providers have it."""
    redis = Redis.from_url(durable.url)
    redis.execute_command("ACL", "SETUSER", "tenant", "on", ">secret", "~*", "&*", "+@all", "-config")
    yield durable.url.replace("unix://", "unix://tenant:secret@")
    redis.execute_command("ACL", "DELUSER", "tenant")


def test_a_server_that_cannot_be_looked_at_is_refused_unless_its_provider_is_trusted(managed_url, namespace, caplog):
    with pytest.raises(UnsuitableRedis, match=r"forbids CONFIG GET.*MERCER_TRUST_DURABILITY=true"):
        require_durable(managed_url, namespace)
    require_durable(managed_url, namespace, trusted=True)
    assert "provider" in caplog.text


def test_trust_does_not_help_a_server_that_can_be_seen_to_lose_jobs(durable, namespace, changed):
    changed("appendfsync", "everysec")
    with pytest.raises(UnsuitableRedis, match="got everysec"):
        require_durable(durable.url, namespace, trusted=True)


@pytest.mark.parametrize(("appendfsync", "said"), [("always", "and a power cut"), ("everysec", "last second")])
def test_a_service_says_what_its_queue_promises(durable, changed, caplog, appendfsync, said):
    changed("appendfsync", appendfsync)
    with caplog.at_level(logging.INFO):
        tell_promise(durable.url)
    assert said in caplog.text


async def test_a_file_that_cannot_be_written_is_a_fault_until_it_can(tmp_path, namespace):
    """A limit on the size of files stands for a full disk; with everysec the server lives on."""
    url = f"unix://{tmp_path}/s"
    options = ["--port", "0", "--unixsocket", f"{tmp_path}/s", "--dir", str(tmp_path), "--appendonly", "yes"]
    process = subprocess.Popen([server_binary(), *options], stdout=subprocess.DEVNULL, restore_signals=False)
    try:
        redis = Redis.from_url(url)
        _until(lambda: os.path.exists(f"{tmp_path}/s") and redis.ping())
        broker = ServiceBroker.connect(url, namespace=namespace)
        assert await broker.fault() is None
        resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (1, resource.RLIM_INFINITY))
        redis.set("a", "b")
        _until(lambda: redis.info("persistence")["aof_last_write_status"] == "err")
        assert "cannot write its append-only file" in await broker.fault()
        resource.prlimit(process.pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
        _until(lambda: redis.info("persistence")["aof_last_write_status"] == "ok")
        assert await broker.fault() is None
        await broker.close()
    finally:
        process.kill()
        process.wait()


def _until(true):
    for _ in range(400):
        if true():
            return
        time.sleep(0.025)
    raise AssertionError("it did not happen in 10 s")
