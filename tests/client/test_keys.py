"""API keys through the client and the shell, on a service that asks for them, as a process of its own."""

import json
import tempfile
from pathlib import Path

import numpy as np
import pytest

import mercer
from deploy.local import LocalService
from mercer.cli import main
from mercer.errors import Forbidden, Unauthenticated, UnknownJob, UnknownKey

ROOT_KEY = "root-key-of-the-tests-" + "0" * 32


@pytest.fixture(scope="module")
def keyed():
    with tempfile.TemporaryDirectory(prefix="mercer-", dir="/tmp") as folder:
        logs = Path(folder) / "logs"
        with LocalService(Path(folder), environment={"MERCER_ROOT_KEY": ROOT_KEY}, logs=logs) as service:
            yield service.url
        printed = "".join(log.read_text() for log in logs.iterdir())
        assert "was created with key root" in printed
        assert ROOT_KEY not in printed


@pytest.fixture
def root(keyed):
    with mercer.Client(keyed, api_key=ROOT_KEY) as client:
        yield client


@pytest.fixture
def shell(keyed, monkeypatch, capsys):
    monkeypatch.setenv("MERCER_URL", keyed)

    def run(*words, key=ROOT_KEY):
        monkeypatch.setenv("MERCER_API_KEY", key)
        code = main([str(word) for word in words])
        captured = capsys.readouterr()
        return code, captured.out, captured.err

    return run


def test_a_tenant_works_and_another_sees_nothing_of_it(keyed, root, gram, points):
    scopes = ["jobs:read", "jobs:write", "datasets:read", "datasets:write"]
    keys = [root.keys.create("k", scopes, tenant=tenant).key for tenant in ("acme", "other")]
    with mercer.Client(keyed, api_key=keys[0]) as acme, mercer.Client(keyed, api_key=keys[1]) as other:
        stored = acme.datasets.upload(np.repeat(points, 100, axis=0))
        job = acme.submit(mercer.Gram(kernel=gram().kernel, x=stored.select(rows=[0, 1])))
        assert job.result(120).shape == (2, 2)
        batch = acme.batch([("a", gram())])
        with pytest.raises(UnknownJob):
            other.job(job.id)
        assert (other.jobs(), other.datasets.list(), other.batches()) == ([], [], [])
        assert [found.id for found in acme.batches()] == [batch.id]


async def test_the_async_client_administers_keys_too(keyed):
    async with mercer.AsyncClient(keyed, api_key=ROOT_KEY) as client:
        made = await client.keys.create("async", ["jobs:read"])
        assert made.id in {key.id for key in await client.keys.list()}
        await client.keys.revoke(made.id)
        with pytest.raises(UnknownKey):
            await client.keys.revoke(made.id)


def test_without_a_key_the_client_says_so(keyed, gram, monkeypatch):
    monkeypatch.delenv("MERCER_API_KEY", raising=False)
    with mercer.Client(keyed) as client, pytest.raises(Unauthenticated, match="expected a valid API key"):
        client.submit(gram())


def test_a_missing_scope_is_named(keyed, root, gram):
    key = root.keys.create("reader", ["jobs:read"]).key
    with mercer.Client(keyed, api_key=key) as client, pytest.raises(Forbidden, match="the scope jobs:write"):
        client.submit(gram())


def test_a_key_lives_and_dies_in_the_shell(shell):
    code, out, _ = shell("keys", "create", "laptop", "--scope", "jobs:read", "--tenant", "acme", "--expires-in-days", 1)
    key = out.strip()
    assert (code, key[:3]) == (0, "mk_")
    assert shell("jobs", key=key)[0] == 0
    code, out, _ = shell("keys", "list", "--json")
    (listed,) = [one for one in json.loads(out) if one["name"] == "laptop"]
    assert (code, listed["tenant"], listed["scopes"]) == (0, "acme", ["jobs:read"])
    assert "laptop" in shell("keys", "list")[1]
    assert shell("keys", "revoke", listed["id"])[0] == 0
    code, _, err = shell("jobs", key=key)
    assert (code, err.startswith("mercer: expected a valid API key")) == (2, True)


@pytest.mark.parametrize("days", ["inf", "1e12", "nan", "-1"])
def test_the_shell_refuses_a_time_that_no_key_can_have(shell, days):
    code, _, err = shell("keys", "create", "x", "--scope", "jobs:read", f"--expires-in-days={days}")
    assert (code, err.count("\n")) == (2, 1)


def test_the_shell_refuses_a_scope_that_there_is_not(shell, capsys):
    with pytest.raises(SystemExit):
        shell("keys", "create", "x", "--scope", "all")
    assert "jobs:read" in capsys.readouterr().err
