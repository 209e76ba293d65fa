"""`mercer webhooks ...`: where the service tells of jobs and batches that ended."""

from __future__ import annotations

import json
from argparse import Namespace

from mercer.client import Client
from mercer.errors import DeliveryFailed
from mercer.tables import table
from mercer.webhooks import Delivery, DeliveryStatus, Webhook

KEEP = "keep the secret: it is never shown again"


def add(client: Client, arguments: Namespace) -> str:
    """Register one and show its secret."""
    return _secret(client.webhooks.add(arguments.address, _events(arguments)), arguments)


def listing(client: Client, arguments: Namespace) -> str:
    """All of them."""
    webhooks = client.webhooks.list()
    if arguments.json:
        return json.dumps([one.model_dump(mode="json", exclude_none=True) for one in webhooks], indent=2)
    return table(("id", "state", "waiting", "delivered", "address"), [_row(one) for one in webhooks])


def show(client: Client, arguments: Namespace) -> str:
    """One with its last deliveries."""
    webhook = client.webhooks.get(arguments.id)
    if arguments.json:
        return webhook.model_dump_json(indent=2, exclude_none=True)
    fields = webhook.model_dump(mode="json", exclude_none=True, exclude={"deliveries"})
    width = max(len(name) for name in fields)
    lines = [f"{name:{width}}  {', '.join(value) if name == 'events' else value}" for name, value in fields.items()]
    heads = ("event", "of", "created (UTC)", "status", "attempts", "answer")
    return "\n".join([*lines, "", table(heads, [_delivery_row(one) for one in webhook.deliveries or ()])])


def update(client: Client, arguments: Namespace) -> str:
    """Change which events it takes; enable or disable it."""
    webhook = client.webhooks.update(arguments.id, events=_events(arguments), enabled=arguments.enabled)
    return f"{webhook.id} {_state(webhook)}: {', '.join(webhook.events)}"


def test(client: Client, arguments: Namespace) -> str:
    """Send a test event and say how it went.

    Raises:
        DeliveryFailed: it was not delivered.
    """
    delivery = client.webhooks.test(arguments.id)
    if delivery.status is not DeliveryStatus.DELIVERED:
        raise DeliveryFailed(f"the test event was not delivered: {delivery.reason or 'it still waits'}")
    return f"{delivery.id} delivered, answered {delivery.response_status}"


def rotate(client: Client, arguments: Namespace) -> str:
    """Give it a new secret and show that."""
    return _secret(client.webhooks.rotate(arguments.id, overlap_s=arguments.overlap), arguments)


def remove(client: Client, arguments: Namespace) -> str:
    """Forget them."""
    for webhook_id in arguments.id:
        client.webhooks.remove(webhook_id)
    return ""


def _events(arguments: Namespace) -> list[str] | None:
    return arguments.events.split(",") if arguments.events else None


def _secret(webhook: Webhook, arguments: Namespace) -> str:
    if arguments.json:
        return webhook.model_dump_json(indent=2, exclude_none=True)
    return f"{webhook.id}\n{webhook.secret}\n{KEEP}"


def _state(webhook: Webhook) -> str:
    return "disabled" if not webhook.enabled else "failing" if webhook.failing_since else "enabled"


def _row(webhook: Webhook) -> tuple[str, ...]:
    return webhook.id, _state(webhook), str(webhook.waiting), str(webhook.delivered), webhook.url


def _delivery_row(delivery: Delivery) -> tuple[str, ...]:
    answer = delivery.reason or str(delivery.response_status or "")
    when = f"{delivery.created_at:%Y-%m-%d %H:%M:%S}"
    return delivery.event, delivery.subject, when, delivery.status, str(delivery.attempts), answer
