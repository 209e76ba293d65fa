"""The tables of the ledger, and what the database itself refuses.

The CHECK `filter` of `accounts` is the filter of mercer.privacy.accounting. A row of `accounts` changes only when an
entry that extends its chain is inserted, by the trigger `entries_spend`, and then to what that entry says; so no code,
however wrong, spends without an entry, writes an entry without spending, goes over the budget, or changes what was
written.
"""

from __future__ import annotations

from typing import NamedTuple

from sqlalchemy import (
    DDL,
    BigInteger,
    CheckConstraint,
    Column,
    ForeignKeyConstraint,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
    event,
)

metadata = MetaData()


def _text(name: str, *, key: bool = False, optional: bool = False) -> Column[str]:
    return Column(name, Text, primary_key=key, nullable=optional)


def _count(name: str, *, key: bool = False) -> Column[int]:
    # Composite keys count by themselves; nothing is to be numbered by the database.
    return Column(name, BigInteger, primary_key=key, nullable=False, autoincrement=False)


accounts = Table(
    "accounts",
    metadata,
    _text("tenant", key=True),
    _text("name", key=True),
    _text("neighbours"),
    _text("domain"),
    _count("budget_epsilon"),
    _count("budget_delta"),
    _count("budget_mu2"),
    _count("spent_epsilon"),
    _count("spent_mu2"),
    _count("spent_gaussians"),
    _count("head_seq"),
    _text("head_hash"),
    CheckConstraint(
        "(spent_gaussians = 0 AND spent_epsilon <= budget_epsilon) OR spent_mu2 <= budget_mu2", name="filter"
    ),
    CheckConstraint("spent_epsilon >= 0 AND spent_mu2 >= 0 AND spent_gaussians >= 0", name="spent"),
    CheckConstraint("budget_epsilon > 0 AND budget_delta >= 0 AND budget_mu2 >= 0", name="budget"),
)

entries = Table(
    "entries",
    metadata,
    _text("tenant", key=True),
    _text("name", key=True),
    _count("seq", key=True),
    _text("event"),
    _text("key", optional=True),
    _text("release_id", optional=True),
    _text("kind"),
    _text("fingerprint"),
    _text("spender"),
    _text("time"),
    _text("terms", optional=True),
    _count("epsilon"),
    _count("mu2"),
    _count("gaussians"),
    _count("spent_epsilon"),
    _count("spent_mu2"),
    _count("spent_gaussians"),
    _text("prev_hash"),
    _text("hash"),
    ForeignKeyConstraint(["tenant", "name"], ["accounts.tenant", "accounts.name"]),
    UniqueConstraint("tenant", "key", name="one_charge_for_each_key"),
    UniqueConstraint("release_id", name="one_charge_for_each_release"),
    CheckConstraint("epsilon >= 0 AND gaussians >= 0", name="never_a_refund"),
    CheckConstraint(
        "(seq = 0 AND event = 'protect' AND mu2 = 0 AND key IS NULL AND terms IS NOT NULL) OR "
        "(seq > 0 AND event <> 'protect' AND mu2 > 0 AND key IS NOT NULL AND release_id IS NOT NULL)",
        name="never_for_nothing",
    ),
)


class Guard(NamedTuple):
    """What is refused: an operation on a table while a condition on OLD and NEW holds."""

    name: str
    operation: str
    table: str
    refused_when: str
    reason: str


_FIXED = ("tenant", "name", "neighbours", "domain", "budget_epsilon", "budget_delta", "budget_mu2")
_SUMS = ("epsilon", "mu2", "gaussians")

GUARDS = (
    Guard("entries_stay", "UPDATE", "entries", "1 = 1", "an entry of the ledger never changes"),
    Guard("entries_last", "DELETE", "entries", "1 = 1", "an entry of the ledger is never deleted"),
    Guard("accounts_last", "DELETE", "accounts", "1 = 1", "an account is never deleted"),
    Guard(
        "accounts_grow",
        "UPDATE",
        "accounts",
        " OR ".join(f"NEW.{name} <> OLD.{name}" for name in _FIXED)
        + " OR NEW.head_seq <= OLD.head_seq OR NOT EXISTS (SELECT 1 FROM entries e WHERE e.tenant = NEW.tenant "
        "AND e.name = NEW.name AND e.seq = NEW.head_seq AND e.hash = NEW.head_hash AND "
        + " AND ".join(f"e.spent_{name} = NEW.spent_{name}" for name in _SUMS)
        + ")",
        "an account changes by its next entry alone",
    ),
    Guard(
        "accounts_begin",
        "INSERT",
        "accounts",
        "NEW.head_seq <> -1 OR " + " OR ".join(f"NEW.spent_{name} <> 0" for name in _SUMS),
        "an account begins with nothing spent",
    ),
    Guard(
        "entries_extend",
        "INSERT",
        "entries",
        "NOT EXISTS (SELECT 1 FROM accounts a WHERE a.tenant = NEW.tenant AND a.name = NEW.name "
        "AND a.head_seq = NEW.seq - 1 AND a.head_hash = NEW.prev_hash AND "
        + " AND ".join(f"a.spent_{name} + NEW.{name} = NEW.spent_{name}" for name in _SUMS)
        + ")",
        "an entry extends the chain of its account",
    ),
)
"""What both databases refuse."""

_SPEND = (
    "UPDATE accounts SET head_seq = NEW.seq, head_hash = NEW.hash, "
    + ", ".join(f"spent_{name} = NEW.spent_{name}" for name in _SUMS)
    + " WHERE tenant = NEW.tenant AND name = NEW.name"
)


def _sqlite(guard: Guard) -> str:
    return (
        f"CREATE TRIGGER {guard.name} BEFORE {guard.operation} ON {guard.table} WHEN {guard.refused_when} "
        f"BEGIN SELECT RAISE(ABORT, '{guard.reason}'); END"
    )


def _postgresql(guard: Guard) -> str:
    row = "OLD" if guard.operation == "DELETE" else "NEW"
    body = (
        f"IF {guard.refused_when} THEN RAISE EXCEPTION '{guard.reason}' USING ERRCODE = 'check_violation'; END IF; "
        f"RETURN {row};"
    )
    return _function(guard.name, body, f"BEFORE {guard.operation} ON {guard.table} FOR EACH ROW")


def _no_truncate(table: str) -> str:
    body = "RAISE EXCEPTION 'the ledger is never emptied' USING ERRCODE = 'check_violation';"
    return _function(f"{table}_never_emptied", body, f"BEFORE TRUNCATE ON {table} FOR EACH STATEMENT")


def _function(name: str, body: str, when: str) -> str:
    return (
        f"CREATE FUNCTION {name}() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN {body} END $$; "
        f"CREATE TRIGGER {name} {when} EXECUTE FUNCTION {name}()"
    )


TRIGGERS = {
    "sqlite": [_sqlite(guard) for guard in GUARDS]
    + [f"CREATE TRIGGER entries_spend AFTER INSERT ON entries BEGIN {_SPEND}; END"],
    "postgresql": [_postgresql(guard) for guard in GUARDS]
    + [_no_truncate("entries"), _no_truncate("accounts")]
    + [_function("entries_spend", f"{_SPEND}; RETURN NEW;", "AFTER INSERT ON entries FOR EACH ROW")],
}
"""The statements that make the triggers, by the name of the dialect."""

for dialect, statements in TRIGGERS.items():
    for statement in statements:
        event.listen(entries, "after_create", DDL(statement).execute_if(dialect=dialect))  # type: ignore[no-untyped-call]
