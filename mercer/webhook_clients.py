"""`client.webhooks`: where the service tells of jobs and batches that ended."""

from __future__ import annotations

import builtins
from collections.abc import Iterable

from mercer.transport import AsyncTransport, SyncTransport
from mercer.webhook_flows import (
    add_webhook,
    change_webhook,
    list_webhooks,
    remove_webhook,
    rotate_webhook,
    show_webhook,
    test_webhook,
)
from mercer.webhooks import Delivery, Webhook

DAY_S = 86_400


class Webhooks:
    """`client.webhooks`: where the service tells of jobs and batches that ended."""

    def __init__(self, transport: SyncTransport) -> None:
        self._transport = transport

    def add(self, url: str, events: Iterable[str] | None = None) -> Webhook:
        """Register one; keep its `secret`, which is never shown again.

        Args:
            url: https, of a host with public addresses, unless the service is set up to allow others.
            events: Such as "job.failed" or "batch.completed"; all of mercer.webhooks.WebhookEvent when absent.

        Raises:
            InvalidWebhook: the address cannot be delivered to, has a webhook already, or an event is unknown.
        """
        return self._transport.run(add_webhook(url, events))

    def list(self) -> list[Webhook]:
        """All of them, the oldest first."""
        return self._transport.run(list_webhooks())

    def get(self, webhook_id: str) -> Webhook:
        """One, with its last `deliveries`.

        Raises:
            UnknownWebhook: no webhook has this id.
        """
        return self._transport.run(show_webhook(webhook_id))

    def update(self, webhook_id: str, *, events: Iterable[str] | None = None, enabled: bool | None = None) -> Webhook:
        """Change which events it takes; disable it, or enable it again.

        Raises:
            UnknownWebhook: no webhook has this id.
        """
        return self._transport.run(change_webhook(webhook_id, events, enabled))

    def rotate(self, webhook_id: str, *, overlap_s: int = DAY_S) -> Webhook:
        """Give it a new `secret`; for `overlap_s` seconds messages carry signatures of the old one too.

        Raises:
            UnknownWebhook: no webhook has this id.
        """
        return self._transport.run(rotate_webhook(webhook_id, overlap_s))

    def test(self, webhook_id: str) -> Delivery:
        """Send it an event `webhook.test` and wait until that was tried: its `status` and `reason` say how it went.

        Raises:
            UnknownWebhook: no webhook has this id.
            WebhookDisabled: enable it first.
        """
        return self._transport.run(test_webhook(webhook_id))

    def remove(self, webhook_id: str) -> None:
        """Forget it; what waits for it is not delivered.

        Raises:
            UnknownWebhook: no webhook has this id.
        """
        self._transport.run(remove_webhook(webhook_id))


class AsyncWebhooks:
    """`client.webhooks` of an AsyncClient: as Webhooks, with await."""

    def __init__(self, transport: AsyncTransport) -> None:
        self._transport = transport

    async def add(self, url: str, events: Iterable[str] | None = None) -> Webhook:
        """See Webhooks.add."""
        return await self._transport.run(add_webhook(url, events))

    async def list(self) -> builtins.list[Webhook]:
        """See Webhooks.list."""
        return await self._transport.run(list_webhooks())

    async def get(self, webhook_id: str) -> Webhook:
        """See Webhooks.get."""
        return await self._transport.run(show_webhook(webhook_id))

    async def update(
        self, webhook_id: str, *, events: Iterable[str] | None = None, enabled: bool | None = None
    ) -> Webhook:
        """See Webhooks.update."""
        return await self._transport.run(change_webhook(webhook_id, events, enabled))

    async def rotate(self, webhook_id: str, *, overlap_s: int = DAY_S) -> Webhook:
        """See Webhooks.rotate."""
        return await self._transport.run(rotate_webhook(webhook_id, overlap_s))

    async def test(self, webhook_id: str) -> Delivery:
        """See Webhooks.test."""
        return await self._transport.run(test_webhook(webhook_id))

    async def remove(self, webhook_id: str) -> None:
        """See Webhooks.remove."""
        await self._transport.run(remove_webhook(webhook_id))
