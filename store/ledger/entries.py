"""One entry of an account's chain: who spent how much on what, and what was spent in all after it.

Entry 0 of an account holds the terms under which its data set was protected; each later one is a charge. An entry's
hash is the SHA-256 of its line without the hash, in which the hash of the entry before it stands.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

from mercer.privacy import Budget, Loss

GENESIS = "0" * 64
"""What stands for the hash before entry 0."""

PROTECT = "protect"
"""The event of entry 0."""


@dataclass(frozen=True)
class Terms:
    """What was promised when a data set was protected; it never changes.

    Attributes:
        budget: What all its releases may cost together.
        neighbours: The relation of data sets that are not told apart, such as add_or_remove_one.
        domain: Where its records lie, as canonical JSON.
    """

    budget: Budget
    neighbours: str
    domain: str


@dataclass(frozen=True)
class Account:
    """A protected data set: its terms, what was spent, and the end of its chain."""

    tenant: str
    name: str
    terms: Terms
    spent: Loss
    head_seq: int
    head_hash: str


@dataclass(frozen=True)
class Purchase:
    """What is to be paid for; its fields are those of `Entry`."""

    key: str
    release_id: str
    fingerprint: str
    loss: Loss
    kind: str
    spender: str


@dataclass(frozen=True)
class Entry:
    """One link of the chain of an account. `spent_*` are the sums that include it."""

    tenant: str
    name: str
    seq: int
    event: str
    """protect, pure or gaussian."""
    key: str | None
    """The idempotency key of the submission; unique within the tenant."""
    release_id: str | None
    kind: str
    """Of the job."""
    fingerprint: str
    """SHA-256 of the job's spec, in canonical JSON."""
    spender: str
    """The name of the API key."""
    time: str
    """When it was made: ISO 8601, UTC."""
    terms: str | None
    """Those of the account, in entry 0 alone."""
    epsilon: int
    mu2: int
    gaussians: int
    spent_epsilon: int
    spent_mu2: int
    spent_gaussians: int
    prev_hash: str
    hash: str

    @classmethod
    def sealed(cls, **fields: Any) -> Entry:
        """The entry of these fields with its hash."""
        return cls(**fields, hash=_hash(fields))

    @classmethod
    def of_line(cls, line: bytes) -> Entry:
        """What `line` wrote.

        Raises:
            ValueError: the bytes are no entry.
        """
        try:
            return cls(**json.loads(line))
        except TypeError as error:
            raise ValueError("expected an entry of the ledger") from error

    def line(self) -> bytes:
        """As canonical JSON, of which the witness is made."""
        return _canonical(asdict(self))

    @property
    def loss(self) -> Loss:
        """What it cost."""
        return Loss(self.epsilon, self.mu2, self.gaussians)

    @property
    def spent(self) -> Loss:
        """What was spent in all after it."""
        return Loss(self.spent_epsilon, self.spent_mu2, self.spent_gaussians)

    def is_sealed(self) -> bool:
        """Whether its hash is that of its fields."""
        return self.hash == _hash({name: value for name, value in asdict(self).items() if name != "hash"})


def first_entry(tenant: str, name: str, terms: Terms, spender: str) -> Entry:
    """Entry 0 of the account of a data set that is being protected."""
    return Entry.sealed(
        tenant=tenant,
        name=name,
        seq=0,
        event=PROTECT,
        key=None,
        release_id=None,
        kind="",
        fingerprint="",
        spender=spender,
        time=_now(),
        terms=_canonical(asdict(terms)).decode(),
        **asdict(Loss()),
        **_spent(Loss()),
        prev_hash=GENESIS,
    )


def next_entry(account: Account, purchase: Purchase) -> Entry:
    """The entry that charges an account."""
    return Entry.sealed(
        tenant=account.tenant,
        name=account.name,
        seq=account.head_seq + 1,
        event="gaussian" if purchase.loss.gaussians else "pure",
        key=purchase.key,
        release_id=purchase.release_id,
        kind=purchase.kind,
        fingerprint=purchase.fingerprint,
        spender=purchase.spender,
        time=_now(),
        terms=None,
        **asdict(purchase.loss),
        **_spent(account.spent + purchase.loss),
        prev_hash=account.head_hash,
    )


def terms_of(text: str) -> Terms:
    """Those that entry 0 holds."""
    fields = json.loads(text)
    return Terms(**fields | {"budget": Budget(**fields["budget"])})


def _spent(spent: Loss) -> dict[str, int]:
    return {f"spent_{name}": units for name, units in asdict(spent).items()}


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def _hash(fields: dict[str, Any]) -> str:
    return hashlib.sha256(_canonical(fields)).hexdigest()


def _canonical(fields: dict[str, Any]) -> bytes:
    return json.dumps(fields, sort_keys=True, separators=(",", ":")).encode()
