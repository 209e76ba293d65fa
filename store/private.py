"""Private data sets, kept apart from all others: no reference to a data set, no listing and no download finds one.

private/<name>/...          the records: store/private_data.py
private-terms/<name>        the terms, written before the records come and kept when they are deleted

Names are random: nothing that is shown tells whether a guess of the records is right.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from mercer.errors import InvalidArray, UnknownDataset
from mercer.jobs import Dataset
from mercer.privacy.terms import Terms
from mercer.tenants import DEFAULT_TENANT
from store.objects import Objects
from store.private_data import PREFIX as DATA
from store.private_data import PrivateData
from store.tenants import prefix_of

TERMS = "private-terms/"

PARTS = (DATA, TERMS)
"""Where everything is kept."""

RECORD_BYTES = 8
"""Of each number of a record, as they are counted."""


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
        self.data = PrivateData(objects, max_bytes, tenant)

    def of(self, tenant: str) -> PrivateDatasets:
        """Those of another tenant."""
        return PrivateDatasets(self._objects, self._max_bytes, tenant)

    def protect(self, name: str, terms: Terms) -> Terms:
        """Set the terms, once and for all; those that hold afterwards.

        Raises:
            Unavailable: they cannot be stored.
        """
        with self._objects.writer(self._prefix + name) as writer:
            writer.write(terms.model_dump_json().encode())
            writer.commit()
        return self.terms(name)

    def terms(self, name: str) -> Terms:
        """On which terms it may be used.

        Raises:
            UnknownDataset: it has none.
        """
        try:
            return Terms.model_validate_json(b"".join(self._objects.read(self._prefix + name)))
        except KeyError:
            raise UnknownDataset(f"No private data set {name}: POST its terms to /v1/private first.") from None

    def list(self) -> list[str]:
        """The names of all that have terms, whether their data are here or not."""
        return sorted(entry.key.removeprefix(self._prefix) for entry in self._objects.keys(self._prefix))

    def counted_bytes(self) -> int:
        """How many bytes those whose data are here are counted with; lists all of them."""
        return sum(counted_bytes(self.terms(name)) for name in self.data.names())

    def open(self, name: str) -> OpenPrivate:
        """Map one.

        Raises:
            UnknownDataset: it has no terms, or its data are not here.
        """
        return OpenPrivate(self.terms(name), self.data.open(name))


def check(terms: Terms, dataset: Dataset) -> None:
    """See that data fit their terms, before anybody sees them.

    Raises:
        InvalidArray: there are too many records, or they have not the dimensions of the domain.
    """
    n, d = dataset.shape
    if n > terms.max_records:
        raise InvalidArray(f"expected at most max_records = {terms.max_records} records, got more")
    if d != terms.domain.d:
        raise InvalidArray(f"expected records of {terms.domain.d} numbers, as the domain has, got {d}")


def counted_bytes(terms: Terms) -> int:
    """What a data set takes of the tenant's quota: as much as it may have, for its own bytes tell how many records."""
    return terms.max_records * terms.domain.d * RECORD_BYTES
