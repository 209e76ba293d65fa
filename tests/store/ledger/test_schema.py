"""What the database refuses, whatever code asks for it."""

from dataclasses import asdict, replace

import pytest
from sqlalchemy import insert, select
from sqlalchemy.dialects import postgresql
from sqlalchemy.exc import IntegrityError
from sqlalchemy.schema import CreateTable

from mercer.privacy import Loss
from store.ledger.entries import Purchase, next_entry
from store.ledger.schema import TRIGGERS, accounts, entries
from tests.store.ledger.conftest import TENTH, charge

CHANGES = [
    "budget_epsilon = budget_epsilon + 1",
    "budget_delta = budget_delta + 1",
    "budget_mu2 = budget_mu2 + 1",
    "neighbours = 'change_one'",
    "domain = '{}'",
    "spent_epsilon = 0",
    "spent_epsilon = spent_epsilon + 1",
    "spent_mu2 = 0",
    "head_seq = 0",
    "head_seq = head_seq + 1",
    "head_hash = ''",
]

STRAY = [
    {"seq": 1},
    {"seq": 3},
    {"prev_hash": "0" * 64},
    {"spent_epsilon": 100_000},
    {"spent_mu2": 0},
    {"spent_gaussians": 1},
    {"name": "0" * 32},
    {"epsilon": 0},
    {"epsilon": -100_000, "spent_epsilon": 0},
    {"mu2": 0, "spent_mu2": TENTH.mu2},
    {"event": "protect"},
    {"key": None},
    {"release_id": None},
]


@pytest.fixture
def run(database, protected, ledger):
    """Run SQL behind the ledger's back, on an account that has one charge."""
    charge(ledger, protected, "k")

    def run(statement, **values):
        with database.writing() as connection:
            if isinstance(statement, str):
                connection.exec_driver_sql(statement)
            else:
                connection.execute(statement, values)

    return run


@pytest.fixture
def wrong(ledger, protected, run):
    """Code that is wrong: an entry as `next_entry` makes it, of any loss and with any field changed."""

    def wrong(loss=TENTH, **fields):
        purchase = Purchase("another key", "d" * 32, "f" * 64, loss, "private_density", "analyst")
        return asdict(replace(next_entry(ledger.account("acme", protected), purchase), **fields))

    return wrong


def test_no_field_of_an_entry_changes(run):
    for column in entries.columns:
        with pytest.raises(IntegrityError, match="never changes"):
            run(f"UPDATE entries SET {column.name} = {column.name}")


def test_no_entry_is_deleted(run):
    with pytest.raises(IntegrityError, match="never deleted"):
        run("DELETE FROM entries WHERE seq = 1")


def test_no_entry_is_replaced(run, database, wrong):
    if database._engine.dialect.name == "sqlite":
        with pytest.raises(IntegrityError, match="never deleted"):
            run(insert(entries).prefix_with("OR REPLACE"), **wrong(key="k"))
    with pytest.raises(IntegrityError):
        run(insert(entries), **wrong(key="k"))


def test_no_table_is_emptied(run, database):
    for table in ("entries", "accounts"):
        if database._engine.dialect.name == "postgresql":
            with pytest.raises(IntegrityError, match="never emptied"):
                run(f"TRUNCATE {table} CASCADE")
        with pytest.raises(IntegrityError, match="never deleted"):
            run(f"DELETE FROM {table}")


def test_an_account_changes_by_its_entries_alone(run):
    for change in CHANGES:
        with pytest.raises(IntegrityError, match="by its next entry alone"):
            run(f"UPDATE accounts SET {change}")


def test_an_account_begins_with_nothing_spent(run):
    names = [column.name for column in accounts.columns]
    row = ["'other'" if name == "tenant" else name for name in names]
    with pytest.raises(IntegrityError, match="begins with nothing spent"):
        run(f"INSERT INTO accounts ({', '.join(names)}) SELECT {', '.join(row)} FROM accounts")


def test_an_entry_beyond_the_budget_is_refused_by_the_database_itself(run, wrong):
    over = wrong(Loss.pure(0.91))
    with pytest.raises(IntegrityError, match="filter"):
        run(insert(entries), **over)


def test_an_entry_of_right_sums_is_taken_and_spent(run, wrong, ledger, protected, database):
    entry = wrong(Loss.pure(0.9))
    run(insert(entries), **entry)
    with database.reading() as connection:
        account = connection.execute(select(accounts)).one()
    assert (account.spent_epsilon, account.head_seq, account.head_hash) == (1_000_000, 2, entry["hash"])


def test_an_entry_that_does_not_extend_its_chain_is_refused(run, wrong):
    for fields in STRAY:
        with pytest.raises(IntegrityError):
            run(insert(entries), **wrong(**fields))


def test_a_key_and_a_release_are_charged_once(run, wrong, ledger, protected):
    paid = ledger.entries("acme", protected)[-1]
    for field in ({"key": paid.key}, {"release_id": paid.release_id}):
        with pytest.raises(IntegrityError):
            run(insert(entries), **wrong(**field))


@pytest.mark.parametrize("table", [accounts, entries], ids=str)
def test_the_tables_are_those_of_postgresql_too(table):
    text = str(CreateTable(table).compile(dialect=postgresql.dialect()))
    assert text.count("CONSTRAINT") == len([named for named in table.constraints if named.name])
    assert "BIGSERIAL" not in text


def test_postgresql_locks_the_row_that_a_charge_reads():
    text = str(select(accounts).with_for_update().compile(dialect=postgresql.dialect()))
    assert text.endswith("FOR UPDATE")


def test_both_databases_have_the_same_triggers():
    names = {dialect: {text.split("TRIGGER ")[1].split()[0] for text in texts} for dialect, texts in TRIGGERS.items()}
    assert names["postgresql"] - names["sqlite"] == {"entries_never_emptied", "accounts_never_emptied"}
    assert names["sqlite"] <= names["postgresql"]
