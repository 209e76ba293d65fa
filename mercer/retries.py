"""Which requests are sent again, and when. Decides purely: the sleeping is a step of the flow."""

from __future__ import annotations

import random
import time
from itertools import count

from mercer.errors import ConnectionFailed
from mercer.steps import Flow, Pause, Reply, Request, error_of

RETRIES = 2
RETRYABLE = frozenset({408, 429, 502, 503, 504})
"""Statuses after which the same request may succeed; also 409 when it says after how long."""

BACKOFF_S = 0.2
MAX_BACKOFF_S = 2.0
MAX_RETRY_AFTER_S = 60
"""When the service asks for a longer rest, the caller should decide."""

RESTART_PATIENCE_S = 60.0
"""How long work that is under way outlasts a service that is away: a restart takes seconds."""


def backoff_s(attempt: int, jitter: float) -> float:
    """Longer each time. The jitter, from 0 to 1, keeps many clients from coming back at the same moment."""
    return min(BACKOFF_S * 2.0 ** min(attempt, 10), MAX_BACKOFF_S) * (0.5 + jitter)


def retry_delay_s(outcome: Reply | ConnectionFailed, attempt: int, jitter: float) -> float | None:
    """How long to rest before the request is sent again, or None when that is no use.

    Args:
        outcome: Of this attempt.
        attempt: 0 for the first.
        jitter: From 0 to 1.
    """
    if isinstance(outcome, ConnectionFailed):
        return backoff_s(attempt, jitter)
    asked_s = outcome.retry_after_s
    if outcome.status not in RETRYABLE and not (outcome.status == 409 and asked_s is not None):
        return None
    if asked_s is None:
        return backoff_s(attempt, jitter)
    return asked_s + BACKOFF_S * jitter if asked_s <= MAX_RETRY_AFTER_S else None


def exchange(request: Request, *, patience_s: float = 0.0, accept: tuple[int, ...] = ()) -> Flow[Reply]:
    """Send a request, again where that may help, until it succeeds.

    Args:
        request: It must be safe to repeat: idempotent, or with an Idempotency-Key.
        patience_s: Go on after RETRIES attempts for so long.
        accept: Statuses over 400 that are an answer, not an error.

    Raises:
        MercerError: what the service answered at last.
    """
    give_up = time.monotonic() + patience_s
    for attempt in count():
        outcome = yield request
        delay_s = retry_delay_s(outcome, attempt, random.random())
        last = attempt >= RETRIES and time.monotonic() + (delay_s or 0.0) >= give_up
        if delay_s is None or last:
            break
        yield Pause(delay_s)
    if isinstance(outcome, ConnectionFailed):
        raise outcome
    if outcome.status >= 400 and outcome.status not in accept:
        raise error_of(outcome)
    return outcome
