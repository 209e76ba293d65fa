"""`client.keys`: the API keys of the service, for who may administer them."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from mercer.key_flows import create_key, list_keys, revoke_key
from mercer.keys import ApiKey, CreatedKey, Scope
from mercer.transport import AsyncTransport, SyncTransport


class Keys:
    """`client.keys`; needs a key with the scope keys:admin."""

    def __init__(self, transport: SyncTransport) -> None:
        self._transport = transport

    def create(
        self,
        name: str,
        scopes: Iterable[Scope | str],
        *,
        tenant: str | None = None,
        expires_at: datetime | None = None,
    ) -> CreatedKey:
        """A new key; its text is in `key`, and nowhere else ever again.

        Args:
            name: Who or what uses it.
            scopes: What it may do, such as ["jobs:read", "jobs:write"].
            tenant: Whose objects it reaches; other than your own only with the root key.
            expires_at: From when on it is refused, with a time zone; never, when absent.

        Raises:
            Forbidden: your own key may not give these scopes, or this tenant.
        """
        return self._transport.run(create_key(name, scopes, tenant, expires_at))

    def list(self) -> list[ApiKey]:
        """The keys of your tenant, the newest first; with the root key all."""
        return self._transport.run(list_keys())

    def revoke(self, key_id: str) -> None:
        """Refuse a key from now on; every process of the service does so within 5 s.

        Raises:
            UnknownKey: there is none of this id.
        """
        self._transport.run(revoke_key(key_id))


class AsyncKeys:
    """`client.keys`; needs a key with the scope keys:admin."""

    def __init__(self, transport: AsyncTransport) -> None:
        self._transport = transport

    async def create(
        self,
        name: str,
        scopes: Iterable[Scope | str],
        *,
        tenant: str | None = None,
        expires_at: datetime | None = None,
    ) -> CreatedKey:
        """See Keys.create."""
        return await self._transport.run(create_key(name, scopes, tenant, expires_at))

    async def list(self) -> list[ApiKey]:
        """See Keys.list."""
        return await self._transport.run(list_keys())

    async def revoke(self, key_id: str) -> None:
        """See Keys.revoke."""
        await self._transport.run(revoke_key(key_id))
