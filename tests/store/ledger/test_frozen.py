"""An old or another copy of the database never gives anything back."""

import shutil

import pytest

from mercer.errors import AccountFrozen, BudgetExceeded
from mercer.privacy import Loss
from store.ledger import Database, Ledger
from store.ledger.audit import reconcile, verify
from store.ledger.witnesses import PREFIX
from tests.store.ledger.conftest import charge


@pytest.fixture
def url(sqlite_url):
    """Copies are made of a file."""
    return sqlite_url


@pytest.fixture
def copies(sqlite_path, tmp_path):
    """Keep a copy of the database, and restore it later."""

    class Copies:
        def keep(self):
            shutil.copy(sqlite_path, tmp_path / "copy.db")

        def restore(self):
            shutil.copy(tmp_path / "copy.db", sqlite_path)

        def lose(self):
            sqlite_path.unlink()

    return Copies()


@pytest.fixture
def reopened(sqlite_url, local):
    """Ledgers of processes that start now."""
    databases = []

    def reopened():
        databases.append(Database(sqlite_url))
        return Ledger(databases[-1], local)

    yield reopened
    for database in databases:
        database.close()


def uses(ledger, name, terms):
    return [
        lambda: charge(ledger, name, "new"),
        lambda: charge(ledger, name, "k0"),
        lambda: ledger.account("acme", name),
        lambda: ledger.protect("acme", name, terms, "custodian"),
    ]


@pytest.mark.parametrize("missed", [1, 2, 5])
def test_a_restored_old_copy_freezes_the_account(ledger, protected, terms, copies, reopened, missed):
    charge(ledger, protected, "k0")
    copies.keep()
    for number in range(missed):
        charge(ledger, protected, f"lost{number}")
    copies.restore()
    for use in uses(reopened(), protected, terms):
        with pytest.raises(AccountFrozen, match="operator has to reconcile"):
            use()


def test_a_copy_restored_under_a_running_process_freezes_the_account(ledger, protected, terms, copies):
    charge(ledger, protected, "k0")
    copies.keep()
    charge(ledger, protected, "lost")
    ledger.database.close()
    copies.restore()
    for use in uses(ledger, protected, terms):
        with pytest.raises(AccountFrozen):
            use()


def test_a_copy_of_before_the_protection_freezes_the_data_set(ledger, protected, terms, copies, reopened):
    ledger.database.close()
    copies.lose()
    for use in uses(reopened(), protected, terms):
        with pytest.raises(AccountFrozen):
            use()


def test_a_copy_that_other_code_has_gone_on_with_freezes_the_account(ledger, protected, copies, reopened, sqlite_path):
    copies.keep()
    charge(ledger, protected, "lost")
    copies.restore()
    forked = reopened()
    forked.witnesses.confirm = lambda head: None  # code that is wrong: it does not look
    forked._listed.add(("acme", protected))
    with pytest.raises(AccountFrozen, match="entry 1 is not the one that was witnessed"):
        charge(forked, protected, "other")
    right = reopened()
    with pytest.raises(AccountFrozen):
        charge(right, protected, "k")
    with pytest.raises(AccountFrozen, match="entry 1"):
        reconcile(right.database, right.witnesses)


def test_other_accounts_of_a_frozen_one_go_on(ledger, protected, terms, copies, reopened):
    other = "0" * 32
    ledger.protect("acme", other, terms, "custodian")
    copies.keep()
    charge(ledger, protected, "lost")
    copies.restore()
    assert charge(reopened(), other, "k").fresh


def set_back(local, numbers):
    """An old copy of the object store lacks these witnesses."""
    for entry in list(local.keys(PREFIX)):
        if int(entry.key.rpartition("/")[2]) in numbers:
            local.delete(entry.key)


@pytest.mark.parametrize("lost", [{0}, {1}, {2}, {1, 2}, {2, 3}, {0, 1, 2, 3}, {1, 3}])
def test_an_object_store_set_back_by_itself_freezes_the_account(ledger, protected, terms, reopened, local, lost):
    for number in range(3):
        charge(ledger, protected, f"k{number}")
    set_back(local, lost)
    for use in uses(reopened(), protected, terms):
        with pytest.raises(AccountFrozen, match="los"):
            use()


@pytest.mark.parametrize("lost", [{2, 3}, {1, 2, 3}, {0, 1, 2, 3}])
def test_an_object_store_set_back_under_a_running_process_freezes_the_account(ledger, protected, terms, local, lost):
    for number in range(3):
        charge(ledger, protected, f"k{number}")
    set_back(local, lost)
    for use in uses(ledger, protected, terms):
        with pytest.raises(AccountFrozen, match="both lost their witnesses"):
            use()


@pytest.mark.parametrize("charges", [0, 1, 2])
def test_only_the_last_entry_unwitnessed_is_a_crash_and_goes_on(ledger, protected, terms, reopened, local, charges):
    for number in range(charges):
        charge(ledger, protected, f"k{number}")
    for again in (ledger, reopened()):
        set_back(local, {charges})
        assert again.account("acme", protected).head_seq == charges
        assert again.protect("acme", protected, terms, "custodian").head_seq == charges
        assert again.witnesses.newest("acme", protected) == charges
    assert charge(reopened(), protected, "new").fresh


@pytest.mark.parametrize("lost", [True, False])
def test_what_a_copy_lacks_comes_back_from_the_witnesses(ledger, protected, copies, reopened, lost):
    copies.keep()
    paid = [charge(ledger, protected, f"k{number}") for number in range(9)]
    before = ledger.entries("acme", protected)
    account = ledger.account("acme", protected)
    ledger.database.close()
    copies.lose() if lost else copies.restore()
    restored = reopened()
    (done,) = reconcile(restored.database, restored.witnesses)
    assert (done.entries, done.witnesses) == (10 if lost else 9, 0)
    assert restored.entries("acme", protected) == before
    assert restored.account("acme", protected) == account
    assert charge(restored, protected, "k8") == (paid[8].release_id, False)
    assert charge(restored, protected, "k9").fresh
    with pytest.raises(BudgetExceeded):
        charge(restored, protected, "k10")
    assert not verify(restored.database, restored.witnesses)
    assert not reconcile(restored.database, restored.witnesses)


def test_witnesses_that_were_lost_are_made_again(ledger, protected, local):
    charge(ledger, protected, "k0")
    charge(ledger, protected, "k1")
    before = {entry.key: entry.size for entry in local.keys(PREFIX)}
    local.delete(min(before))
    assert [fault.seq for fault in verify(ledger.database, ledger.witnesses)] == [0]
    (done,) = reconcile(ledger.database, ledger.witnesses)
    assert (done.entries, done.witnesses) == (0, 1)
    assert {entry.key: entry.size for entry in local.keys(PREFIX)} == before


def test_a_gap_in_the_witnesses_hides_no_later_one_from_a_new_process(
    ledger, protected, copies, reopened, local, terms
):
    charge(ledger, protected, "k0")
    copies.keep()
    for number in range(3):
        charge(ledger, protected, f"lost{number}")
    copies.restore()
    local.delete(sorted(entry.key for entry in local.keys(PREFIX))[2])
    with pytest.raises(AccountFrozen):
        charge(reopened(), protected, "new")
    ledger_again = reopened()
    with pytest.raises(AccountFrozen, match="neither in the database nor witnessed"):
        reconcile(ledger_again.database, ledger_again.witnesses)


def test_a_witness_that_was_changed_is_not_believed(ledger, protected, copies, reopened, local):
    copies.keep()
    charge(ledger, protected, "lost", loss=Loss.pure(0.9))
    path = local.local_path(max(entry.key for entry in local.keys(PREFIX)))
    path.write_bytes(path.read_bytes().replace(b"900000", b"100000"))
    copies.restore()
    restored = reopened()
    with pytest.raises(AccountFrozen, match="witness of its entry 1 was changed"):
        reconcile(restored.database, restored.witnesses)
    path.write_bytes(b"no entry")
    with pytest.raises(AccountFrozen, match="witness of its entry 1 was changed"):
        reconcile(restored.database, restored.witnesses)


def test_two_databases_with_one_store_never_acknowledge_more_than_the_budget(tmp_path, objects, name, terms):
    """As when two machines were each given an SQLite file of their own and one bucket: the witness decides."""
    first = Database(f"sqlite:///{tmp_path}/0.db")
    Ledger(first, objects).protect("acme", name, terms, "custodian")
    shutil.copy(tmp_path / "0.db", tmp_path / "1.db")
    databases = [first, Database(f"sqlite:///{tmp_path}/1.db")]
    ledgers = [Ledger(database, objects) for database in databases]
    acknowledged = []
    for number in range(12):
        for which, ledger in enumerate(ledgers):
            try:
                acknowledged.append(charge(ledger, name, f"{which}-{number}"))
            except (AccountFrozen, BudgetExceeded):
                continue
    assert len(acknowledged) == 10
    for database in databases:
        database.close()


def test_the_witnesses_are_kept_in_any_object_store(database, objects, name, terms):
    ledger = Ledger(database, objects)
    ledger.protect("acme", name, terms, "custodian")
    charge(ledger, name, "k")
    lines = [b"".join(objects.read(entry.key)) for entry in objects.keys(PREFIX)]
    assert sorted(lines) == sorted(entry.line() for entry in ledger.entries("acme", name))
    assert not verify(database, ledger.witnesses)
