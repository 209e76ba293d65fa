"""Protecting data sets and charging their accounts.

A charge: lock the account; see that the witnesses end where its chain ends; find the idempotency key; ask the filter;
insert the entry; commit; put its witness; answer. Whoever gets no answer asks again with the same key.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple, TypeVar

from sqlalchemy import Connection
from sqlalchemy.exc import IntegrityError

from mercer.errors import AlreadyProtected, BudgetExceeded, IdempotencyConflict, NotProtected
from mercer.privacy import Loss
from store.ledger.database import Database
from store.ledger.entries import Account, Entry, Purchase, Terms, first_entry, next_entry
from store.ledger.rows import append, begin, chain, charged, locked
from store.ledger.witnesses import Witnesses, frozen
from store.objects import Objects

Answer = TypeVar("Answer")


class Charge(NamedTuple):
    """What was paid for."""

    release_id: str
    fresh: bool
    """False when this key had paid for it before."""


class Ledger:
    """The accounts of protected data sets.

    Args:
        database: Where they are kept.
        objects: Where their witnesses are; on another disk, or under another account, than the database.
    """

    def __init__(self, database: Database, objects: Objects) -> None:
        self.database = database
        self.witnesses = Witnesses(objects)
        self._listed: set[tuple[str, str]] = set()

    def protect(self, tenant: str, name: str, terms: Terms, spender: str) -> Account:
        """Open the account of a data set, once and for ever; the same again changes nothing.

        Raises:
            AlreadyProtected: it has other terms.
            AccountFrozen: the database is older than the witnesses.
            Unavailable: the database or the object store does not answer.
        """
        entry = first_entry(tenant, name, terms, spender)
        account = _twice(lambda: self._opened(entry, terms))
        if account.head_hash == entry.hash:
            self.witnesses.put(entry)
        return account

    def charge(
        self,
        tenant: str,
        name: str,
        *,
        key: str,
        release_id: str,
        fingerprint: str,
        loss: Loss,
        kind: str,
        spender: str,
    ) -> Charge:
        """Pay for a release, once for each key. It is final: nothing is ever given back.

        Args:
            tenant: Whose data set it is, and whose the key.
            name: Of the protected data set.
            key: The submission's idempotency key.
            release_id: Under which it will be published; the same whenever the key is the same.
            fingerprint: SHA-256 of the spec.
            loss: What the release costs; a function of the spec alone, never of the data.
            kind: Of the job.
            spender: The name of the API key.

        Raises:
            NotProtected: the data set has no account.
            BudgetExceeded: more than is left.
            IdempotencyConflict: the key has paid for something else.
            AccountFrozen: the database is older than the witnesses.
            Unavailable: the database or the object store does not answer; ask again with the same key.
            ValueError: the release costs nothing.
        """
        if loss.mu2 <= 0:
            raise ValueError("expected a release that costs something")
        purchase = Purchase(key, release_id, fingerprint, loss, kind, spender)
        entry, fresh = _twice(lambda: self._committed(tenant, name, purchase))
        if fresh:
            self.witnesses.put(entry)
        return Charge(str(entry.release_id), fresh)

    def account(self, tenant: str, name: str) -> Account | None:
        """The account of a data set; None when it was never protected.

        Raises:
            AccountFrozen: the database is older than the witnesses.
            Unavailable: the database or the object store does not answer.
        """
        with self.database.writing() as connection:
            return self._confirmed(connection, tenant, name)

    def paid(self, tenant: str, keys: Sequence[str]) -> set[str]:
        """Those of the keys that have paid for something.

        Raises:
            Unavailable: the database does not answer.
        """
        with self.database.reading() as connection:
            return {key for key in keys if charged(connection, tenant, key) is not None}

    def entries(self, tenant: str, name: str) -> list[Entry]:
        """Everything that was spent on a data set, the oldest first; empty when it was never protected.

        Raises:
            Unavailable: the database does not answer.
        """
        with self.database.reading() as connection:
            return list(chain(connection, tenant, name))

    def _opened(self, entry: Entry, terms: Terms) -> Account:
        with self.database.writing() as connection:
            account = self._confirmed(connection, entry.tenant, entry.name)
            if account is None:
                account = Account(entry.tenant, entry.name, terms, Loss(), entry.seq, entry.hash)
                begin(connection, entry)
            elif account.terms != terms:
                raise AlreadyProtected("The data set is protected under other terms, which never change.")
        return account

    def _committed(self, tenant: str, name: str, purchase: Purchase) -> tuple[Entry, bool]:
        with self.database.writing() as connection:
            account = self._confirmed(connection, tenant, name)
            if account is None:
                raise NotProtected("Releases are made of protected data sets alone: protect this one first.")
            if (known := charged(connection, tenant, purchase.key)) is not None:
                if (known.name, known.fingerprint) != (name, purchase.fingerprint):
                    raise IdempotencyConflict("The idempotency key has paid for another release: use a fresh one.")
                return known, False
            _check_budget(account, purchase.loss)
            entry = next_entry(account, purchase)
            append(connection, entry)
        return entry, True

    def _confirmed(self, connection: Connection, tenant: str, name: str) -> Account | None:
        """The account, locked, after its chain was seen to end where the witnesses do."""
        account = locked(connection, tenant, name)
        # Once in a process all are listed: the looks of `confirm` trust that there are no gaps.
        if (tenant, name) not in self._listed:
            witnessed = self.witnesses.numbers(tenant, name)
            if account is None and witnessed:  # where nothing is locked, another may have protected it meanwhile
                account = locked(connection, tenant, name)
                witnessed = self.witnesses.numbers(tenant, name)
            _check_whole(witnessed, -1 if account is None else account.head_seq)
        if account is not None:
            self._listed.add((tenant, name))
            self.witnesses.confirm(next(chain(connection, tenant, name, account.head_seq)))
        return account


def _check_whole(witnessed: set[int], head_seq: int) -> None:
    """See that no entry but the last lacks its witness, and that none is witnessed beyond it."""
    if max(witnessed, default=-1) > head_seq:
        raise frozen("its ledger ends before the newest witness")
    if missing := set(range(head_seq)) - witnessed:
        raise frozen(f"its entry {min(missing)} has lost its witness, and with it perhaps a release that was published")


def _check_budget(account: Account, loss: Loss) -> None:
    budget = account.terms.budget
    if not budget.admits(account.spent + loss):
        epsilon, mu = float(budget.epsilon_left(account.spent)), budget.mu_left(account.spent)
        raise BudgetExceeded(
            "The release costs more than is left of the data set's budget: expected at most one of "
            f"epsilon = {epsilon:.6f} with pure noise, or of mu = {mu:.6f} with Gaussian noise."
        )


def _twice(transaction: Callable[[], Answer]) -> Answer:
    """Where nothing is locked yet, such as a new account or key, another may insert it first: then it is there."""
    try:
        return transaction()
    except IntegrityError:
        return transaction()
