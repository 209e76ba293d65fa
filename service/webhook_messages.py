"""What is sent to a webhook, after Standard Webhooks 1.0.0, and when it is sent again. Decides purely."""

from __future__ import annotations

import hashlib
import hmac
from base64 import b64decode, b64encode
from collections.abc import Iterable
from datetime import UTC, datetime
from secrets import token_bytes
from typing import Any, NamedTuple

import pydantic_core

from broker.webhooks import Message, Outcome, Tries
from mercer.webhooks import TEST_EVENT

SECRET_PREFIX = "whsec_"
SECRET_BYTES = 32

RETRY_S = (5, 300, 1_800, 7_200, 18_000, 36_000, 50_400, 72_000, 86_400)
"""After the first failure, the second, ...: the schedule of Standard Webhooks, three days in all."""

JITTER = 0.2
"""Of a pause, up or down, so that what failed together does not come back together."""


class Answer(NamedTuple):
    """What came of one attempt."""

    status: int | None
    reason: str | None
    """Why it failed; None when it did not."""


def new_secret() -> str:
    """What the messages of one webhook are signed with."""
    return SECRET_PREFIX + b64encode(token_bytes(SECRET_BYTES)).decode()


def body_of(message: Message) -> bytes:
    """Small, the same at every attempt, and without anything that the user sent or computed."""
    payload = {
        "type": message.event,
        "timestamp": datetime.fromtimestamp(message.created_ms / 1000, UTC),
        "data": {
            "id": message.subject,
            "kind": message.kind,
            "state": message.event.partition(".")[2],
            "links": _links(message),
        },
    }
    return pydantic_core.to_json(payload)


def headers_of(message: Message, body: bytes, secrets: Iterable[str], now_s: int) -> dict[str, str]:
    """The headers, with a signature for each secret that is valid now."""
    return {
        "Content-Type": "application/json",
        "User-Agent": "Mercer-Webhooks",
        "webhook-id": message.id,
        "webhook-timestamp": str(now_s),
        "webhook-signature": " ".join(_signature(secret, message.id, now_s, body) for secret in secrets),
    }


def after(message: Message, answer: Answer, now_ms: int, jitter: float) -> tuple[Outcome, Tries, int]:
    """How an attempt ended, all attempts so far, and after how many milliseconds comes the next one.

    Args:
        message: What was sent.
        answer: What came of it.
        now_ms: When.
        jitter: From -1 to 1.
    """
    attempts = message.tries.attempts + 1
    last = attempts > len(RETRY_S) or message.event == TEST_EVENT
    outcome = Outcome.DELIVERED if answer.reason is None else Outcome.ABANDONED if last else Outcome.FAILED
    tries = Tries(
        attempts=attempts,
        status=answer.status,
        reason=answer.reason,
        tried_ms=now_ms,
        outcome="waiting" if outcome is Outcome.FAILED else outcome.value,
    )
    again_s = RETRY_S[attempts - 1] * (1 + JITTER * jitter) if outcome is Outcome.FAILED else 0.0
    return outcome, tries, round(again_s * 1000)


def _signature(secret: str, message_id: str, now_s: int, body: bytes) -> str:
    key = b64decode(secret.removeprefix(SECRET_PREFIX))
    mac = hmac.digest(key, f"{message_id}.{now_s}.".encode() + body, hashlib.sha256)
    return f"v1,{b64encode(mac).decode()}"


def _links(message: Message) -> dict[str, Any]:
    about, _, state = message.event.partition(".")
    itself = f"/v1/{_COLLECTIONS[about]}/{message.subject}"
    links = {"self": itself}
    if (about, state) == ("job", "succeeded"):
        links["result"] = f"{itself}/result"
    if about == "batch":
        links |= {"output": f"{itself}/output", "errors": f"{itself}/errors"}
    return links


_COLLECTIONS = {"job": "jobs", "batch": "batches", "webhook": "webhooks"}
