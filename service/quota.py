"""How many bytes of data sets a tenant may store: looked at before an upload begins and with every piece of it.

What is stored is measured by listing, at most every MEASURED_S in a process; what comes through this process is counted
at once. So several processes together may store more than the bound by what they took within that time.
"""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import NamedTuple

from starlette.concurrency import run_in_threadpool

from mercer.errors import QuotaExceeded

MEASURED_S = 5.0


class _Measured(NamedTuple):
    size_bytes: int
    at_s: float
    before: int
    """Bytes that had been stored through this process by then."""


class Quota:
    """The bound of each tenant.

    Args:
        used: How many bytes a tenant stores; it may take a while.
        limit: How many it may store; None without a bound.
    """

    def __init__(self, used: Callable[[str], int], limit: int | None) -> None:
        self._used = used
        self._limit = limit
        self._measured: dict[str, _Measured] = {}
        self._coming: defaultdict[str, int] = defaultdict(int)
        self._stored: defaultdict[str, int] = defaultdict(int)

    @asynccontextmanager
    async def incoming(self, tenant: str, declared: int) -> AsyncIterator[Incoming | None]:
        """An upload that says how long it is, or 0; None where there is no bound.

        Raises:
            QuotaExceeded: there is no room for it.
        """
        if self._limit is None:
            yield None
            return
        await self._measure(tenant)
        upload = Incoming(self, tenant)
        try:
            upload.expect(declared)
            yield upload
        finally:
            self._coming[tenant] -= upload.expected

    def forget(self, tenant: str) -> None:
        """Something of the tenant was deleted: measure anew."""
        if (seen := self._measured.get(tenant)) is not None:
            self._measured[tenant] = seen._replace(at_s=-MEASURED_S)

    def room(self, tenant: str) -> int:
        """How many bytes may still come."""
        return (self._limit or 0) - self._there(tenant)

    def take(self, tenant: str, size_bytes: int) -> None:
        """Count bytes that come.

        Raises:
            QuotaExceeded: they are too many.
        """
        if size_bytes > self.room(tenant):
            raise self.exceeded(tenant, f"{size_bytes:,} more")
        self._coming[tenant] += size_bytes

    def store(self, tenant: str, size_bytes: int) -> None:
        """Count bytes that came."""
        self._stored[tenant] += size_bytes

    def exceeded(self, tenant: str, more: str) -> QuotaExceeded:
        """Both numbers, and what to do."""
        there = self._there(tenant)
        return QuotaExceeded(
            f"expected at most {self._limit:,} bytes of data sets of one tenant, "
            f"got {there:,} that are stored or come, and {more}; delete some"
        )

    def _there(self, tenant: str) -> int:
        """Bytes that are stored or come."""
        seen = self._measured[tenant]
        return seen.size_bytes + self._stored[tenant] - seen.before + self._coming[tenant]

    async def _measure(self, tenant: str) -> None:
        seen = self._measured.get(tenant)
        if seen is None or time.monotonic() >= seen.at_s + MEASURED_S:
            at_s, before = time.monotonic(), self._stored[tenant]
            self._measured[tenant] = _Measured(await run_in_threadpool(self._used, tenant), at_s, before)


class Incoming:
    """One upload under a bound."""

    def __init__(self, quota: Quota, tenant: str) -> None:
        self._quota = quota
        self._tenant = tenant
        self._taken = 0
        self.expected = 0
        """Bytes that it has, or has said that it will have."""

    @property
    def room(self) -> int:
        """How many bytes it may have as npy."""
        return self._quota.room(self._tenant) + self.expected

    def expect(self, size_bytes: int) -> None:
        """Count so many as coming.

        Raises:
            QuotaExceeded: they are too many.
        """
        self._quota.take(self._tenant, size_bytes)
        self.expected += size_bytes

    def take(self, size_bytes: int) -> None:
        """Some have come.

        Raises:
            QuotaExceeded: they are too many.
        """
        self._taken += size_bytes
        if self._taken > self.expected:
            self.expect(self._taken - self.expected)

    def stored(self, size_bytes: int) -> None:
        """It is a data set now."""
        self._quota.store(self._tenant, size_bytes)

    def exceeded(self) -> QuotaExceeded:
        """As npy it is too large for what is left."""
        return self._quota.exceeded(self._tenant, "more as npy")
