"""Private data sets, kept apart from all others: no reference to a data set, no listing and no download finds one.

private/<hex>.npy, .json          the matrix and its metadata, as store/datasets.py keeps them
private-terms/<hex>               the terms, written before the data come and kept when they are deleted
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from mercer.errors import InvalidArray, UnknownDataset
from mercer.jobs import Dataset
from mercer.privacy.terms import Terms
from mercer.tenants import DEFAULT_TENANT
from store.datasets import Datasets
from store.objects import Objects
from store.tenants import prefix_of

DATA = "private/"
TERMS = "private-terms/"


class OpenPrivate(NamedTuple):
    """A private data set and its terms."""

    terms: Terms
    matrix: np.ndarray[Any, Any]
    """(n, d), mapped and read-only."""


class PrivateDatasets:
    """The private data sets of a tenant.

    Args:
        objects: Where they are kept.
        max_bytes: The most that one may have, uploaded or as npy.
        tenant: Whose they are.
    """

    def __init__(self, objects: Objects, max_bytes: int, tenant: str = DEFAULT_TENANT) -> None:
        self._objects = objects
        self._max_bytes = max_bytes
        self._prefix = prefix_of(tenant) + TERMS
        self.data = Datasets(objects, max_bytes, tenant, DATA)

    def of(self, tenant: str) -> PrivateDatasets:
        """Those of another tenant."""
        return PrivateDatasets(self._objects, self._max_bytes, tenant)

    def protect(self, digest: str, terms: Terms) -> Terms:
        """Set the terms, once and for all; those that hold afterwards.

        Raises:
            Unavailable: they cannot be stored.
        """
        with self._objects.writer(self._key(digest)) as writer:
            writer.write(terms.model_dump_json().encode())
            writer.commit()
        return self.terms(digest)

    def is_protected(self, digest: str) -> bool:
        """Whether the bytes of this digest were ever protected."""
        return self._objects.size(self._key(digest)) is not None

    def terms(self, digest: str) -> Terms:
        """On which terms it may be used.

        Raises:
            UnknownDataset: it has none.
        """
        try:
            return Terms.model_validate_json(b"".join(self._objects.read(self._key(digest))))
        except KeyError:
            raise UnknownDataset(f"No private data set {digest}: POST its terms to /v1/private first.") from None

    def list(self) -> list[str]:
        """The digests of all that have terms, whether their data are here or not."""
        return sorted("sha256:" + entry.key.removeprefix(self._prefix) for entry in self._objects.keys(self._prefix))

    def check(self, digest: str, dataset: Dataset) -> None:
        """See that uploaded data fit their terms.

        Raises:
            InvalidArray: there are too many records, or they have not the dimensions of the domain.
        """
        terms, (n, d) = self.terms(digest), dataset.shape
        if n > terms.max_records:
            raise InvalidArray(f"expected at most max_records = {terms.max_records} records, got more")
        if d != terms.domain.d:
            raise InvalidArray(f"expected records of {terms.domain.d} numbers, as the domain has, got {d}")

    def open(self, digest: str) -> OpenPrivate:
        """Map one.

        Raises:
            UnknownDataset: it has no terms, its data are not here, or they do not fit its terms.
        """
        terms, opened = self.terms(digest), self.data.open(digest)
        # A process that was killed between storing data and checking them has left them here.
        try:
            self.check(digest, opened.dataset)
        except InvalidArray:
            raise UnknownDataset(f"No data that fit the terms of {digest}: protect others and upload them.") from None
        return OpenPrivate(terms, opened.matrix)

    def _key(self, digest: str) -> str:
        return self._prefix + digest.removeprefix("sha256:")
