"""Registrations of webhooks: they outlast the queue, and their secrets are kept as they are, since they sign with them.

webhooks/<tenant>/<id>.<version>    one version of one registration, as JSON; the highest is the one that counts
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import lru_cache

from pydantic import BaseModel, ConfigDict, Field

from store.objects import Objects

PREFIX = "webhooks/"
CACHED = 10_000
"""Registrations in memory: about 1 kB each."""


class _Stored(BaseModel):
    model_config = ConfigDict(frozen=True)


class Secret(_Stored):
    """What messages are signed with."""

    value: str = Field(repr=False)
    expires_s: float | None = None
    """In seconds since 1970, of one that was replaced."""


class Disabled(_Stored):
    """Why a webhook takes no events."""

    reason: str
    at_s: float


class Registration(_Stored):
    """One version of the registration of a webhook."""

    id: str
    tenant: str
    version: int = 1
    url: str
    events: tuple[str, ...]
    secrets: tuple[Secret, ...]
    """The current one first."""
    created_s: float
    disabled: Disabled | None = None

    @property
    def wanted(self) -> tuple[str, ...]:
        """The events that it takes now."""
        return () if self.disabled else self.events

    def secrets_at(self, now_s: float) -> list[str]:
        """Those that sign at a time, the current one first."""
        return [one.value for one in self.secrets if one.expires_s is None or one.expires_s > now_s]


class Registrations:
    """The registrations of an object store."""

    def __init__(self, objects: Objects) -> None:
        self._objects = objects
        self._load = lru_cache(maxsize=CACHED)(self._read)  # an object never changes

    def add(self, registration: Registration) -> bool:
        """Keep a version; False when there is one of this number already.

        Raises:
            Unavailable: there is no room.
        """
        with self._objects.writer(_key(registration.tenant, registration.id, registration.version)) as writer:
            writer.write(registration.model_dump_json().encode())
            return writer.commit()

    def version(self, tenant: str, webhook: str, number: int) -> Registration | None:
        """A version of a registration; None when a later one has replaced it, or there is none."""
        try:
            return self._load(_key(tenant, webhook, number))
        except KeyError:
            return None

    def newest(self, tenant: str, webhook: str) -> Registration | None:
        """The registration as it is now; None when there is none."""
        return next(self._newest(f"{PREFIX}{tenant}/{webhook}."), None)

    def of(self, tenant: str) -> list[Registration]:
        """All of a tenant, the oldest first."""
        return sorted(self._newest(f"{PREFIX}{tenant}/"), key=lambda one: one.created_s)

    def all(self) -> Iterator[Registration]:
        """All of all tenants."""
        return self._newest(PREFIX)

    def change(self, tenant: str, webhook: str, changed: Callable[[Registration], Registration]) -> Registration | None:
        """Keep a changed version; None when there is no such webhook.

        Args:
            tenant: Whose.
            webhook: Which.
            changed: Gives the next version; called again when somebody else was faster.

        Raises:
            Unavailable: there is no room.
        """
        while (current := self.newest(tenant, webhook)) is not None:
            following = changed(current).model_copy(update={"version": current.version + 1})
            if self.add(following):
                return following
        return None

    def tidy(self, registration: Registration) -> None:
        """Delete the versions before this one."""
        for number, key in self._versions(f"{PREFIX}{registration.tenant}/{registration.id}."):
            if number < registration.version:
                self._objects.delete(key)

    def delete(self, tenant: str, webhook: str) -> bool:
        """Forget a registration, its secrets included; False when there was none."""
        # The oldest first: what is left after a crash is the version that counted.
        found = sorted(self._versions(f"{PREFIX}{tenant}/{webhook}."))
        self._load.cache_clear()
        return sum(self._objects.delete(key) for _, key in found) > 0

    def _newest(self, prefix: str) -> Iterator[Registration]:
        highest: dict[str, tuple[int, str]] = {}
        for number, key in self._versions(prefix):
            name = key.rpartition(".")[0]
            highest[name] = max(highest.get(name, (0, "")), (number, key))
        for _, key in highest.values():
            try:
                yield self._load(key)
            except KeyError:  # replaced or deleted since it was listed
                if found := next(self._newest(key.rpartition(".")[0] + "."), None):
                    yield found

    def _versions(self, prefix: str) -> Iterator[tuple[int, str]]:
        for entry in self._objects.keys(prefix):
            yield int(entry.key.rpartition(".")[2]), entry.key

    def _read(self, key: str) -> Registration:
        return Registration.model_validate_json(b"".join(self._objects.read(key)))


def _key(tenant: str, webhook: str, version: int) -> str:
    return f"{PREFIX}{tenant}/{webhook}.{version}"
