"""What operators can find out, and how."""

import json
import sqlite3
from pathlib import Path

import pytest

from store.ledger.__main__ import main
from store.ledger.audit import export, verify
from store.ledger.entries import Entry
from store.ledger.schema import GUARDS
from store.ledger.witnesses import PREFIX
from tests.store.ledger.conftest import charge

ROOT = Path(__file__).parents[3]


@pytest.fixture
def url(sqlite_url):
    """What is tampered with is a file."""
    return sqlite_url


@pytest.fixture
def spent(ledger, protected):
    for number in range(3):
        charge(ledger, protected, f"k{number}")
    return protected


@pytest.fixture
def tamper(sqlite_path):
    """Change the file as one who owns the machine can."""

    def tamper(statement):
        with sqlite3.connect(sqlite_path) as connection:
            for guard in GUARDS:
                connection.execute(f"DROP TRIGGER IF EXISTS {guard.name}")
            connection.execute(statement)
        connection.close()

    return tamper


def faults(ledger):
    return [(fault.seq, fault.detail) for fault in verify(ledger.database, ledger.witnesses)]


def test_a_ledger_that_nobody_touched_has_no_faults(ledger, spent):
    assert not faults(ledger)


def test_an_entry_that_waits_for_its_witness_is_no_fault(ledger, spent, local):
    local.delete(max(entry.key for entry in local.keys(PREFIX)))
    assert not faults(ledger)


@pytest.mark.parametrize(
    ("change", "found"),
    [
        ("epsilon = 1", (2, "has another hash than was written")),
        ("spender = 'nobody'", (2, "is not what was witnessed")),
        ("hash = 'f'", (3, "does not follow the entry before it")),
        ("spent_mu2 = 1", (2, "does not add its cost to what was spent")),
        ("seq = 7", (3, "ends a chain that has gaps")),
    ],
)
def test_a_changed_entry_is_found(ledger, spent, tamper, change, found):
    tamper(f"UPDATE entries SET {change} WHERE seq = 2")
    assert found in faults(ledger)


def test_an_entry_that_was_changed_and_hashed_anew_is_found(ledger, spent, tamper):
    entry = ledger.entries("acme", spent)[3]
    fields = {name: value for name, value in json.loads(entry.line()).items() if name != "hash"}
    forged = Entry.sealed(**fields | {"spender": "nobody"})
    tamper(f"UPDATE entries SET spender = 'nobody', hash = '{forged.hash}' WHERE seq = 3")
    tamper(f"UPDATE accounts SET head_hash = '{forged.hash}'")
    assert faults(ledger) == [(3, "is not what was witnessed")]


@pytest.mark.parametrize(
    ("change", "found"),
    [
        ("UPDATE accounts SET budget_epsilon = 2000000", (0, "has other terms than its account")),
        ("UPDATE accounts SET spent_epsilon = 0", (3, "is not what its account ends with")),
        ("DELETE FROM entries WHERE seq = 3", (3, "ends a chain that has gaps")),
        ("DELETE FROM entries WHERE seq = 1", (3, "ends a chain that has gaps")),
    ],
)
def test_a_changed_account_is_found(ledger, spent, tamper, change, found):
    tamper(change)
    assert found in faults(ledger)


def test_a_spent_entry_that_was_removed_with_its_traces_is_found(ledger, spent, tamper):
    last = ledger.entries("acme", spent)[2]
    tamper("DELETE FROM entries WHERE seq = 3")
    tamper(
        f"UPDATE accounts SET head_seq = 2, head_hash = '{last.hash}', spent_epsilon = {last.spent_epsilon}, "
        f"spent_mu2 = {last.spent_mu2}"
    )
    assert faults(ledger) == [(3, "is witnessed and not in the database")]


def test_a_changed_witness_is_found(ledger, spent, local):
    local.local_path(min(entry.key for entry in local.keys(PREFIX))).write_bytes(b"{}")
    assert faults(ledger) == [(0, "is not what was witnessed")]


def test_the_export_is_the_chain_line_by_line(ledger, spent):
    lines = list(export(ledger.database))
    assert [Entry.of_line(line) for line in lines] == ledger.entries("acme", spent)
    assert all(Entry.of_line(line).is_sealed() for line in lines)


def test_what_is_no_entry_is_not_read_as_one():
    for line in (b"", b"[]", b"{}", b'{"tenant": "acme"}'):
        with pytest.raises(ValueError):  # noqa: PT011  json raises its own
            Entry.of_line(line)


def shell(command, sqlite_url, store, capsys):
    code = main([command, "--url", sqlite_url, "--store", str(store)])
    return code, capsys.readouterr().out


def test_an_operator_verifies_exports_and_reconciles(ledger, spent, sqlite_url, local, capsys, tamper):
    store = local.local_path("x").parent
    assert shell("verify", sqlite_url, store, capsys) == (0, "0 faults\n")
    assert shell("export", sqlite_url, store, capsys)[1].count("\n") == 4
    local.delete(min(entry.key for entry in local.keys(PREFIX)))
    assert shell("verify", sqlite_url, store, capsys) == (
        1,
        f"acme {spent} entry 0 is not what was witnessed\n1 faults\n",
    )
    assert shell("reconcile", sqlite_url, store, capsys)[1].endswith("1 witnesses made\n1 accounts mended\n")
    assert shell("reconcile", sqlite_url, store, capsys) == (0, "0 accounts mended\n")
    local.local_path(min(entry.key for entry in local.keys(PREFIX))).write_bytes(b"{}")
    assert shell("reconcile", sqlite_url, store, capsys)[0] == 1


def test_a_ledger_or_store_that_is_not_there_is_told_as_such(sqlite_url, tmp_path, capsys):
    assert shell("verify", "sqlite:////nowhere/ledger.db", tmp_path, capsys)[0] == 2
    assert shell("verify", sqlite_url, tmp_path / "nothing", capsys)[0] == 2
    assert not (tmp_path / "nothing").exists()


def test_the_runbook_tells_operators_of_every_command():
    runbook = (ROOT / "docs" / "runbook.md").read_text()
    assert all(f"python -m store.ledger {command}" in runbook for command in ("verify", "export", "reconcile"))
