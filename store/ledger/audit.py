"""What operators do with a ledger: verify it, export it, and bring an old copy up to date from its witnesses."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from itertools import pairwise
from typing import NamedTuple

from store.ledger.database import Database
from store.ledger.entries import GENESIS, Account, Entry, terms_of
from store.ledger.rows import all_accounts, append, begin, chain, locked
from store.ledger.witnesses import Witnesses, frozen


class Fault(NamedTuple):
    """Something that is not as it was written."""

    tenant: str
    name: str
    seq: int
    detail: str


class Reconciled(NamedTuple):
    """What was mended in one account."""

    tenant: str
    name: str
    entries: int
    """Taken from the witnesses into the database."""
    witnesses: int
    """Made of the database's entries."""


def verify(database: Database, witnesses: Witnesses) -> list[Fault]:
    """Compute every hash and sum anew and compare every entry with its witness.

    Raises:
        Unavailable: the database or the object store does not answer.
    """
    witnessed = witnesses.all()  # first: what is witnessed by now was committed before
    with database.reading() as connection:
        kept = [(account, _upto(account, chain(connection, *_names(account)))) for account in all_accounts(connection)]
    faults = [fault for account, entries in kept for fault in _faults(account, entries, witnesses)]
    heads = {_names(account): account.head_seq for account, _ in kept}
    return faults + [
        Fault(tenant, name, seq, "is witnessed and not in the database")
        for seq, tenant, name in sorted(witnessed)
        if seq > heads.get((tenant, name), -1)
    ]


def export(database: Database) -> Iterator[bytes]:
    """Every entry as a line of JSON, account after account, the oldest first.

    Raises:
        Unavailable: the database does not answer.
    """
    with database.reading() as connection:
        for account in all_accounts(connection):
            for entry in chain(connection, *_names(account)):
                yield entry.line() + b"\n"


def reconcile(database: Database, witnesses: Witnesses) -> list[Reconciled]:
    """Take into the database what only the witnesses have, and make the witnesses that are missing.

    So a copy of the database that is older than the witnesses becomes the one that was lost. Nothing is given back, and
    nothing is decided: where database and witnesses contradict each other, the account stays frozen.

    Raises:
        AccountFrozen: the database has other entries than were witnessed.
        Unavailable: the database or the object store does not answer.
    """
    with database.reading() as connection:
        names = {_names(account) for account in all_accounts(connection)}
    names |= {(tenant, name) for _, tenant, name in witnesses.all()}
    done = [_reconciled(database, witnesses, tenant, name) for tenant, name in sorted(names)]
    return [account for account in done if account.entries or account.witnesses]


def _reconciled(database: Database, witnesses: Witnesses, tenant: str, name: str) -> Reconciled:
    newest = witnesses.newest(tenant, name)
    with database.writing() as connection:
        account = locked(connection, tenant, name)
        head, before = (-1, GENESIS) if account is None else (account.head_seq, account.head_hash)
        made = [entry for entry in chain(connection, tenant, name) if _witness(witnesses, entry)]
        taken = [_witnessed(witnesses, tenant, name, seq) for seq in range(head + 1, newest + 1)]
        for entry in taken:
            if entry.prev_hash != before:
                raise frozen(f"the witnesses of its entries {entry.seq - 1} and {entry.seq} contradict each other")
            (append if entry.seq else begin)(connection, entry)
            before = entry.hash
    return Reconciled(tenant, name, len(taken), len(made))


def _witness(witnesses: Witnesses, entry: Entry) -> bool:
    """Make an entry's witness; False when it was there."""
    missing = witnesses.line(entry.tenant, entry.name, entry.seq) is None
    witnesses.put(entry)
    return missing


def _witnessed(witnesses: Witnesses, tenant: str, name: str, seq: int) -> Entry:
    line = witnesses.line(tenant, name, seq)
    if line is None:
        raise frozen(f"its entry {seq} is neither in the database nor witnessed, and later ones are")
    with suppress(ValueError):
        entry = Entry.of_line(line)
        if entry.is_sealed() and (entry.tenant, entry.name, entry.seq) == (tenant, name, seq):
            return entry
    raise frozen(f"the witness of its entry {seq} was changed")


def _names(account: Account) -> tuple[str, str]:
    return account.tenant, account.name


def _upto(account: Account, entries: Iterator[Entry]) -> list[Entry]:
    # The account was read first: what was charged since is not looked at.
    return [entry for entry in entries if entry.seq <= account.head_seq]


def _faults(account: Account, entries: list[Entry], witnesses: Witnesses) -> Iterator[Fault]:
    names = _names(account)
    if [entry.seq for entry in entries] != list(range(account.head_seq + 1)):
        yield Fault(*names, account.head_seq, "ends a chain that has gaps")
        return
    found = [*_wrong_account(account, entries), *_wrong_entries(entries, witnesses), *_wrong_links(entries)]
    for seq, detail in found:
        yield Fault(*names, seq, detail)


def _wrong_account(account: Account, entries: list[Entry]) -> Iterator[tuple[int, str]]:
    last = entries[-1]
    if (last.hash, last.spent) != (account.head_hash, account.spent):
        yield last.seq, "is not what its account ends with"
    if terms_of(entries[0].terms or "{}") != account.terms:
        yield 0, "has other terms than its account"
    if not account.terms.budget.admits(account.spent):
        yield last.seq, "is beyond the budget"


def _wrong_entries(entries: list[Entry], witnesses: Witnesses) -> Iterator[tuple[int, str]]:
    for entry in entries:
        if not entry.is_sealed():
            yield entry.seq, "has another hash than was written"
        witnessed = witnesses.line(entry.tenant, entry.name, entry.seq)
        # The last entry may be waiting for its witness: then nobody has been told of it.
        waits = witnessed is None and entry is entries[-1]
        if not waits and witnessed != entry.line():
            yield entry.seq, "is not what was witnessed"


def _wrong_links(entries: list[Entry]) -> Iterator[tuple[int, str]]:
    for before, entry in pairwise(entries):
        if entry.prev_hash != before.hash:
            yield entry.seq, "does not follow the entry before it"
        if before.spent + entry.loss != entry.spent:
            yield entry.seq, "does not add its cost to what was spent"
