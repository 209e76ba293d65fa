"""From registrations and the queue's records of deliveries to the documents that clients read."""

from __future__ import annotations

from datetime import UTC, datetime

from broker.webhooks import HookState, Message
from mercer.webhooks import Delivery, DeliveryStatus, Webhook
from store.webhooks import Registration


def webhook_of(
    registration: Registration, state: HookState, *, secret: str | None = None, deliveries: bool = False
) -> Webhook:
    """The webhook as clients see it.

    Args:
        registration: What it was registered with.
        state: How its deliveries go.
        secret: Shown when it is new.
        deliveries: Whether to show them one by one.
    """
    disabled = registration.disabled
    return Webhook(
        id=registration.id,
        url=registration.url,
        events=registration.events,
        enabled=disabled is None,
        disabled_reason=disabled.reason if disabled else None,
        disabled_at=_time(disabled.at_s * 1000) if disabled else None,
        created_at=_time(registration.created_s * 1000),
        failing_since=_time(state.failing_since_ms) if state.failing_since_ms else None,
        waiting=state.waiting,
        delivered=state.delivered,
        abandoned=state.abandoned,
        dropped=state.dropped,
        secret=secret,
        deliveries=tuple(map(delivery_of, state.messages)) if deliveries else None,
    )


def delivery_of(message: Message) -> Delivery:
    """One delivery as clients see it."""
    tries, due_ms = message.tries, message.due_ms
    return Delivery(
        id=message.id,
        event=message.event,
        subject=message.subject,
        status=DeliveryStatus(tries.outcome),
        attempts=tries.attempts,
        created_at=_time(message.created_ms),
        attempted_at=_time(tries.tried_ms) if tries.tried_ms else None,
        response_status=tries.status,
        reason=tries.reason,
        next_attempt_at=_time(due_ms) if due_ms else None,
    )


def _time(ms: float) -> datetime:
    return datetime.fromtimestamp(ms / 1000, UTC)
