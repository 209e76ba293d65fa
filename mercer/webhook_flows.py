"""Requests about webhooks: flows, no I/O here."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable
from typing import Any

from pydantic import BaseModel

from mercer.retries import exchange
from mercer.steps import Flow, Pause, Request
from mercer.webhooks import Delivery, Webhook

PATH = "/v1/webhooks"
LOOK_S = 0.2
TEST_S = 30.0
"""In which a test event is tried: the service gives its receiver 20 s."""


class _WebhookList(BaseModel):
    webhooks: list[Webhook]


def _send(method: str, path: str, content: dict[str, Any] | None = None) -> Flow[bytes]:
    headers = {} if content is None else {"Content-Type": "application/json"}
    body = None if content is None else json.dumps(content).encode()
    return (yield from exchange(Request(method, path, headers=headers, body=body))).body


def add_webhook(url: str, events: Iterable[str] | None) -> Flow[Webhook]:
    """Register one."""
    content = {"url": url} | ({} if events is None else {"events": [str(event) for event in events]})
    return Webhook.model_validate_json((yield from _send("POST", PATH, content)))


def list_webhooks() -> Flow[list[Webhook]]:
    """All of them, the oldest first."""
    return _WebhookList.model_validate_json((yield from _send("GET", PATH))).webhooks


def show_webhook(webhook: str) -> Flow[Webhook]:
    """One, with its last deliveries."""
    return Webhook.model_validate_json((yield from _send("GET", f"{PATH}/{webhook}")))


def change_webhook(webhook: str, events: Iterable[str] | None, enabled: bool | None) -> Flow[Webhook]:
    """Change what is given."""
    content: dict[str, Any] = {} if events is None else {"events": [str(event) for event in events]}
    content |= {} if enabled is None else {"enabled": enabled}
    return Webhook.model_validate_json((yield from _send("PATCH", f"{PATH}/{webhook}", content)))


def rotate_webhook(webhook: str, overlap_s: int) -> Flow[Webhook]:
    """Give it a new secret."""
    return Webhook.model_validate_json((yield from _send("POST", f"{PATH}/{webhook}/rotate", {"overlap_s": overlap_s})))


def test_webhook(webhook: str) -> Flow[Delivery]:
    """Send it a test event and wait until that was tried."""
    delivery = Delivery.model_validate_json((yield from _send("POST", f"{PATH}/{webhook}/test")))
    until = time.monotonic() + TEST_S
    while not delivery.attempts and time.monotonic() < until:
        yield Pause(LOOK_S)
        shown = yield from show_webhook(webhook)
        delivery = next((one for one in shown.deliveries or () if one.id == delivery.id), delivery)
    return delivery


def remove_webhook(webhook: str) -> Flow[None]:
    """Forget it."""
    yield from _send("DELETE", f"{PATH}/{webhook}")
