"""What the ledger promises, on SQLite and on PostgreSQL."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from mercer.errors import AlreadyProtected, BudgetExceeded, IdempotencyConflict, NotProtected, Unavailable
from mercer.privacy import Budget, Loss, sigma
from store.ledger import Database, Ledger, Terms
from store.objects import UnsuitableStore
from tests.store.ledger.conftest import charge


def granted(ledger, name, key, **options):
    try:
        return charge(ledger, name, key, **options)
    except BudgetExceeded:
        return None


def test_ten_charges_of_a_tenth_fit_into_one_and_eleven_never(ledger, protected):
    assert all(granted(ledger, protected, str(number)) for number in range(10))
    assert not granted(ledger, protected, "10")
    assert not granted(ledger, protected, "11", loss=Loss.pure(1e-6))
    assert ledger.account("acme", protected).spent.epsilon == 1_000_000


def test_a_gaussian_release_of_the_whole_budget_fits_once(ledger, protected):
    whole = Loss.gaussian(sigma(1.0, 1e-6))
    assert granted(ledger, protected, "1", loss=whole)
    assert not granted(ledger, protected, "2", loss=whole)
    assert not granted(ledger, protected, "3", loss=Loss.gaussian(1e3))


def test_a_refusal_says_what_is_left(ledger, protected):
    charge(ledger, protected, "1", loss=Loss.pure(0.7))
    with pytest.raises(BudgetExceeded, match=r"epsilon = 0\.300000 with pure noise, or of mu = 0\.000000"):
        charge(ledger, protected, "2", loss=Loss.pure(0.4))
    assert charge(ledger, protected, "2", loss=Loss.pure(0.3)).fresh


def test_a_refused_charge_leaves_no_trace_and_its_key_is_free(ledger, protected):
    with pytest.raises(BudgetExceeded):
        charge(ledger, protected, "k", loss=Loss.pure(1.1))
    assert len(ledger.entries("acme", protected)) == 1
    assert charge(ledger, protected, "k").fresh


def test_the_same_key_is_charged_once(ledger, protected):
    first = charge(ledger, protected, "k")
    again = charge(ledger, protected, "k")
    assert (first.fresh, again.fresh) == (True, False)
    assert first.release_id == again.release_id
    assert ledger.account("acme", protected).spent.epsilon == 100_000


def test_a_paid_key_is_answered_when_the_budget_is_spent(ledger, protected):
    paid = charge(ledger, protected, "k", loss=Loss.pure(1.0))
    assert charge(ledger, protected, "k", loss=Loss.pure(1.0)) == (paid.release_id, False)


def test_the_same_key_for_another_release_is_a_conflict(ledger, protected, name, terms):
    charge(ledger, protected, "k")
    with pytest.raises(IdempotencyConflict):
        charge(ledger, protected, "k", fingerprint="e" * 64)
    other = "0" * 32
    ledger.protect("acme", other, terms, "custodian")
    with pytest.raises(IdempotencyConflict):
        charge(ledger, other, "k")


def test_tenants_have_accounts_and_keys_of_their_own(ledger, protected, terms):
    ledger.protect("other", protected, terms, "custodian")
    assert charge(ledger, protected, "k").release_id != charge(ledger, protected, "k", tenant="other").release_id
    assert ledger.account("other", protected).spent == ledger.account("acme", protected).spent


def test_every_entry_tells_who_spent_what_on_what(ledger, protected):
    paid = charge(ledger, protected, "k", loss=Loss.gaussian(10.0))
    first, entry = ledger.entries("acme", protected)
    assert (first.event, first.spender, first.seq, first.loss) == ("protect", "custodian", 0, Loss())
    assert (entry.event, entry.spender, entry.kind, entry.key) == ("gaussian", "analyst", "private_density", "k")
    assert (entry.release_id, entry.loss) == (paid.release_id, Loss.gaussian(10.0))
    assert entry.prev_hash == first.hash


def test_a_data_set_is_protected_once_and_for_ever(ledger, name, terms):
    assert ledger.account("acme", name) is None
    account = ledger.protect("acme", name, terms, "custodian")
    assert ledger.protect("acme", name, terms, "somebody else") == account == ledger.account("acme", name)
    for other in (
        Terms(Budget.of(2.0, 1e-6), terms.neighbours, terms.domain),
        Terms(terms.budget, "change_one", terms.domain),
        Terms(terms.budget, terms.neighbours, "{}"),
    ):
        with pytest.raises(AlreadyProtected):
            ledger.protect("acme", name, other, "custodian")
    assert ledger.account("acme", name).terms == terms


def test_nothing_is_charged_to_a_data_set_that_is_not_protected(ledger, name):
    with pytest.raises(NotProtected):
        charge(ledger, name, "k")


def test_a_release_that_costs_nothing_is_a_mistake(ledger, protected):
    with pytest.raises(ValueError, match="costs something"):
        charge(ledger, protected, "k", loss=Loss())


def test_of_64_clients_at_once_exactly_ten_get_a_tenth(ledger, protected):
    barrier = threading.Barrier(64)

    def spend(number):
        barrier.wait()
        return granted(ledger, protected, str(number))

    with ThreadPoolExecutor(64) as pool:
        got = [paid for paid in pool.map(spend, range(64)) if paid]
    assert len(got) == len({paid.release_id for paid in got}) == 10
    assert ledger.account("acme", protected).spent.epsilon == 1_000_000


def test_of_clients_with_one_key_all_get_one_charge(ledger, protected):
    barrier = threading.Barrier(16)

    def spend(_):
        barrier.wait()
        return charge(ledger, protected, "k")

    with ThreadPoolExecutor(16) as pool:
        paid = list(pool.map(spend, range(16)))
    assert len({release for release, _ in paid}) == 1
    assert sum(fresh for _, fresh in paid) == 1


def test_one_key_used_for_two_data_sets_at_once_pays_for_one(ledger, terms, namespace):
    names = [f"{number:032x}" for number in range(8)]
    for name in names:
        ledger.protect("acme", name, terms, "custodian")
    barrier = threading.Barrier(8)

    def spend(name):
        barrier.wait()
        try:
            return charge(ledger, name, "k")
        except IdempotencyConflict:
            return None

    with ThreadPoolExecutor(8) as pool:
        assert sum(paid is not None for paid in pool.map(spend, names)) == 1


def test_of_many_who_protect_a_data_set_at_once_all_get_one_account(url, local, name, terms):
    barrier = threading.Barrier(8)

    def protect(number):
        database = Database(url)
        barrier.wait()
        account = Ledger(database, local).protect("acme", name, terms, f"custodian-{number}")
        database.close()
        return account

    with ThreadPoolExecutor(8) as pool:
        assert len(set(pool.map(protect, range(8)))) == 1


def test_a_data_set_that_is_being_protected_is_never_taken_for_frozen(url, local, name, terms):
    stop = threading.Event()
    seen = []

    def look():
        database = Database(url)
        ledger = Ledger(database, local)
        while not stop.is_set():
            seen.append(ledger.account("acme", name))
        database.close()

    with ThreadPoolExecutor(4) as pool:
        looks = [pool.submit(look) for _ in range(4)]
        database = Database(url)
        Ledger(database, local).protect("acme", name, terms, "custodian")
        stop.set()
        for done in looks:
            done.result()
        database.close()


@pytest.mark.parametrize("url", ["sqlite://", "mysql://x/y", "nonsense", "postgresql://u@/d"])
def test_another_database_is_refused_with_what_is_expected(url):
    with pytest.raises(UnsuitableStore, match="expected sqlite"):
        Database(url)


@pytest.mark.parametrize("url", ["sqlite:////nowhere/at/all/ledger.db", "postgresql+psycopg://u@/d?host=/nowhere"])
def test_a_database_that_does_not_answer_is_told_as_such(url):
    with pytest.raises(Unavailable, match="ledger does not answer"):
        Database(url)


def test_a_power_cut_after_the_answer_loses_nothing_on_sqlite(sqlite_url):
    database = Database(sqlite_url)
    with database.writing() as connection:
        asked = {
            name: connection.exec_driver_sql(f"PRAGMA {name}").scalar() for name in ("journal_mode", "synchronous")
        }
    database.close()
    assert asked == {"journal_mode": "delete", "synchronous": 3}  # EXTRA
