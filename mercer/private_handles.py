"""`client.private`: data sets that nobody can read, and what may be released of them."""

from __future__ import annotations

import os
from typing import Any

import numpy as np

from mercer.points import PrivateReference
from mercer.privacy.terms import Box, Neighbours, Terms
from mercer.private import PrivateDataset, Spent
from mercer.private_flows import (
    delete_private,
    fetch_private,
    fetch_spent,
    list_private,
    name_of,
    protect,
    upload_private,
)
from mercer.transport import AsyncTransport, SyncTransport
from mercer.uploads import source


class Private:
    """`client.private`; protecting needs a key with the scope private:admin, reading one with private:read."""

    def __init__(self, transport: SyncTransport) -> None:
        self._transport = transport

    def protect(
        self,
        data: str | os.PathLike[str] | np.ndarray[Any, Any],
        *,
        epsilon: float,
        delta: float = 0.0,
        neighbours: Neighbours | str,
        domain: Box,
        max_records: int,
    ) -> PrivateDataset:
        """Give the service a data set that nobody can read or compute on, except through private releases.

        Its name is random. The terms are public, hold for ever and must not be taken from the data.

        Args:
            data: An .npy, .csv or .parquet file, or an array, a record a row.
            epsilon: Budget of all releases together.
            delta: Budget of all releases together; 0 allows pure epsilon releases only.
            neighbours: add_or_remove_one or change_one: which data sets a release must not tell apart.
            domain: Where records may lie; others are moved to its border.
            max_records: The most that there may be: every release takes as long as of so many, or its time would tell.

        Raises:
            InvalidArray: the data do not fit the terms.
            QuotaExceeded: the tenant stores as much as it may; counted are max_records, whatever there is.
        """
        terms = _terms(epsilon, delta, neighbours, domain, max_records)
        return self._transport.run(protect(source(data), terms))

    def upload(
        self,
        private: PrivateDataset | PrivateReference | str,
        data: str | os.PathLike[str] | np.ndarray[Any, Any],
    ) -> PrivateDataset:
        """Give it the data once more, such as corrected ones, in place of those that are there; what was spent stays.

        Releases that are being made go on with the data that they began with.

        Raises:
            UnknownDataset: there is no such private data set.
            InvalidArray: the data do not fit the terms.
        """
        return self._transport.run(upload_private(name_of(private), source(data)))

    def budget(self, private: PrivateDataset | PrivateReference | str) -> PrivateDataset:
        """Its terms, and what is left of its budget.

        Raises:
            UnknownDataset: there is none.
        """
        return self._transport.run(fetch_private(name_of(private)))

    def spent(self, private: PrivateDataset | PrivateReference | str) -> list[Spent]:
        """What was spent on it, by whom and on what, the oldest first."""
        return self._transport.run(fetch_spent(name_of(private)))

    def delete(self, private: PrivateDataset | PrivateReference | str) -> None:
        """Delete its data; its terms and what was spent stay, and no other data set ever gets its name."""
        self._transport.run(delete_private(name_of(private)))

    def list(self) -> list[PrivateDataset]:
        """All of them."""
        return self._transport.run(list_private())


class AsyncPrivate:
    """`client.private` of an AsyncClient: as Private, with await."""

    def __init__(self, transport: AsyncTransport) -> None:
        self._transport = transport

    async def protect(
        self,
        data: str | os.PathLike[str] | np.ndarray[Any, Any],
        *,
        epsilon: float,
        delta: float = 0.0,
        neighbours: Neighbours | str,
        domain: Box,
        max_records: int,
    ) -> PrivateDataset:
        """See Private.protect."""
        terms = _terms(epsilon, delta, neighbours, domain, max_records)
        return await self._transport.run(protect(source(data), terms))

    async def upload(
        self,
        private: PrivateDataset | PrivateReference | str,
        data: str | os.PathLike[str] | np.ndarray[Any, Any],
    ) -> PrivateDataset:
        """See Private.upload."""
        return await self._transport.run(upload_private(name_of(private), source(data)))

    async def budget(self, private: PrivateDataset | PrivateReference | str) -> PrivateDataset:
        """See Private.budget."""
        return await self._transport.run(fetch_private(name_of(private)))

    async def spent(self, private: PrivateDataset | PrivateReference | str) -> list[Spent]:
        """See Private.spent."""
        return await self._transport.run(fetch_spent(name_of(private)))

    async def delete(self, private: PrivateDataset | PrivateReference | str) -> None:
        """See Private.delete."""
        await self._transport.run(delete_private(name_of(private)))

    async def list(self) -> list[PrivateDataset]:
        """See Private.list."""
        return await self._transport.run(list_private())


def _terms(epsilon: float, delta: float, neighbours: Neighbours | str, domain: Box, max_records: int) -> Terms:
    return Terms(
        epsilon=epsilon, delta=delta, neighbours=Neighbours(neighbours), domain=domain, max_records=max_records
    )
