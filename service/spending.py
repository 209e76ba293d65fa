"""Between a checked release and the queue: its price is paid, durably, before anything looks at the data."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from typing import NamedTuple

from broker.records import Submission
from mercer.arrays import ArrayInfo
from mercer.errors import BudgetExceeded, Forbidden, InvalidRequest, NotProtected, UnknownDataset
from mercer.keys import Scope
from mercer.points import PrivateReference, ReleaseReference
from mercer.privacy import Loss
from mercer.privacy.terms import public_info
from mercer.specs import Spec
from service.principals import Principal
from store.ledger import Account, Ledger
from store.private import PrivateDatasets
from store.releases import Releases


class Price(NamedTuple):
    """What one release costs, and which data set pays."""

    name: str
    loss: Loss


class Release(NamedTuple):
    """A release that was checked."""

    spec: Spec
    submission: Submission
    key: str | None
    """What is sent again with the same is paid for once."""


class Spending:
    """Charges releases to the accounts of the data sets that they read.

    Args:
        ledger: Opens the ledger, which is not asked for before the first release.
        private: The private data sets of all tenants.
        releases: What was made of them.
    """

    def __init__(self, ledger: Callable[[], Ledger], private: PrivateDatasets, releases: Releases) -> None:
        self.ledger = ledger
        self._private = private
        self._releases = releases

    def public(self, tenant: str) -> Callable[[PrivateReference | ReleaseReference], ArrayInfo]:
        """What may be told of a tenant's private data sets and releases.

        Raises:
            UnknownDataset: there is no such data set.
            UnknownRelease: there is no such release.
        """
        private, releases = self._private.of(tenant), self._releases.of(tenant)

        def info(reference: PrivateReference | ReleaseReference) -> ArrayInfo:
            if isinstance(reference, PrivateReference):
                return public_info(private.terms(reference.private))
            release = releases.known(reference.release)
            return ArrayInfo(release.vector.shape, release.vector.dtype.name, None, release.parameters)

        return info

    def price(self, spec: Spec, tenant: str) -> Price:
        """Of a release that was checked.

        Raises:
            UnknownDataset: the data are not here.
        """
        info = self.public(tenant)
        references = {name: one for name, one in spec.arrays().items() if isinstance(one, PrivateReference)}
        ((_, reference),) = references.items()
        if not self._private.of(tenant).data.is_here(reference.private):
            raise UnknownDataset(f"The data of {reference.private} are not here: upload them again.")
        return Price(reference.private, spec.privacy_loss({name: info(one) for name, one in references.items()}))

    def offer(self, spec: Spec, tenant: str) -> tuple[Price, bool]:
        """What a release would cost, and whether as much is left.

        Raises:
            NotProtected: its data set has no account.
        """
        price = self.price(spec, tenant)
        account = self._account(price.name, tenant)
        return price, account.terms.budget.admits(account.spent + price.loss)

    def settled(self, specs: Sequence[Spec], submissions: list[Submission], principal: Principal) -> list[Submission]:
        """The submissions, of which the releases are paid for and know under which id they will be published.

        Raises:
            MercerError: as `pay` does.
        """
        releases = [
            Release(spec, one, one.idempotency_key)
            for spec, one in zip(specs, submissions, strict=True)
            if spec.releases
        ]
        if not releases:
            return submissions
        self.pay(releases, principal)
        names = iter(releases)
        return [
            named(next(names), principal.tenant) if spec.releases else one
            for spec, one in zip(specs, submissions, strict=True)
        ]

    def pay(self, releases: Sequence[Release], principal: Principal) -> None:
        """Charge all; none, where together they cost too much. What is sent again with its key is not charged again.

        Raises:
            Forbidden: the API key may not spend.
            InvalidRequest: there is no Idempotency-Key, or a spec says which release it will be.
            BudgetExceeded: they cost more than is left.
            AccountFrozen: the ledger is an old copy.
            Unavailable: the ledger does not answer; the same request may be sent again.
        """
        _check(releases, principal)
        prices = [self.price(one.spec, principal.tenant) for one in releases]
        if len(releases) > 1:
            paid = self.ledger().paid(principal.tenant, [str(one.key) for one in releases])
            due = [price for one, price in zip(releases, prices, strict=True) if one.key not in paid]
            self._check_together(due, principal.tenant)
        for release, price in zip(releases, prices, strict=True):
            self.ledger().charge(
                principal.tenant,
                price.name,
                key=str(release.key),
                release_id=release_id(principal.tenant, str(release.key)),
                fingerprint=hashlib.sha256(release.spec.model_dump_json(exclude_none=True).encode()).hexdigest(),
                loss=price.loss,
                kind=release.spec.kind,
                spender=principal.key or "",
            )

    def _check_together(self, prices: Sequence[Price], tenant: str) -> None:
        """See that several releases fit their budgets together, before the first is charged."""
        for name in {price.name for price in prices}:
            account = self._account(name, tenant)
            total = sum((price.loss for price in prices if price.name == name), account.spent)
            if not account.terms.budget.admits(total):
                raise BudgetExceeded("The releases together cost more than is left of the data set's budget.")

    def _account(self, name: str, tenant: str) -> Account:
        account = self.ledger().account(tenant, name)
        if account is None:
            raise NotProtected("Releases are made of protected data sets alone: protect this one first.")
        return account


def release_id(tenant: str, key: str) -> str:
    """Under which a release is published: the same whenever it is sent again, also long after its job is forgotten."""
    return hashlib.sha256(f"{tenant}\n{key}".encode()).hexdigest()[:32]


def named(release: Release, tenant: str) -> Submission:
    """The submission of a release that knows its id; it runs alone."""
    spec = release.spec.model_copy(update={"release_id": release_id(tenant, str(release.key))})
    return release.submission._replace(spec=spec.model_dump_json(exclude_none=True).encode(), alone=True)


def _check(releases: Sequence[Release], principal: Principal) -> None:
    """Before anything is priced."""
    if any(one.key is None for one in releases):
        raise InvalidRequest(
            "expected an Idempotency-Key with a private release: sent again after a lost answer, it is not paid twice"
        )
    if any(getattr(one.spec, "release_id", None) is not None for one in releases):
        raise InvalidRequest("expected no release_id: the service gives it")
    if Scope.PRIVATE_SPEND not in principal.scopes:
        raise Forbidden(f"expected a key with the scope {Scope.PRIVATE_SPEND}, got one without it")
