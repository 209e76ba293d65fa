"""The rows of the ledger as what they mean."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from sqlalchemy import Connection, Row, insert, select

from mercer.privacy import Budget, Loss
from store.ledger.entries import GENESIS, Account, Entry, Terms, terms_of
from store.ledger.schema import accounts, entries


def locked(connection: Connection, tenant: str, name: str) -> Account | None:
    """An account, which nobody else changes before the transaction ends."""
    mine = (accounts.c.tenant == tenant) & (accounts.c.name == name)
    row = connection.execute(select(accounts).where(mine).with_for_update()).one_or_none()
    return None if row is None else _account(row)


def all_accounts(connection: Connection) -> list[Account]:
    """Every account as it is now."""
    return [_account(row) for row in connection.execute(select(accounts).order_by(accounts.c.tenant, accounts.c.name))]


def chain(connection: Connection, tenant: str, name: str, start: int = 0) -> Iterator[Entry]:
    """The entries of an account from a number on."""
    mine = (entries.c.tenant == tenant) & (entries.c.name == name) & (entries.c.seq >= start)
    for row in connection.execute(select(entries).where(mine).order_by(entries.c.seq)):
        yield Entry(**row._mapping)


def charged(connection: Connection, tenant: str, key: str) -> Entry | None:
    """What a tenant's idempotency key has paid for."""
    row = connection.execute(select(entries).where(entries.c.tenant == tenant, entries.c.key == key)).one_or_none()
    return None if row is None else Entry(**row._mapping)


def begin(connection: Connection, first: Entry) -> None:
    """Open the account that an entry 0 protects."""
    terms = terms_of(first.terms or "")
    row = {"tenant": first.tenant, "name": first.name, "neighbours": terms.neighbours, "domain": terms.domain}
    budget = {f"budget_{name}": units for name, units in asdict(terms.budget).items()}
    nothing = {f"spent_{name}": 0 for name in asdict(Loss())}
    connection.execute(insert(accounts).values(**row, **budget, **nothing, head_seq=-1, head_hash=GENESIS))
    append(connection, first)


def append(connection: Connection, entry: Entry) -> None:
    """Add an entry to its account's chain; the database adds its cost to what was spent."""
    connection.execute(insert(entries).values(**asdict(entry)))


def _account(row: Row[Any]) -> Account:
    budget = Budget(row.budget_epsilon, row.budget_delta, row.budget_mu2)
    terms = Terms(budget, row.neighbours, row.domain)
    spent = Loss(row.spent_epsilon, row.spent_mu2, row.spent_gaussians)
    return Account(row.tenant, row.name, terms, spent, row.head_seq, row.head_hash)
