"""Requests about API keys."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from urllib.parse import quote

from pydantic import BaseModel

from mercer.errors import ConnectionFailed
from mercer.keys import ApiKey, CreatedKey, NewKey, Scope
from mercer.retries import exchange
from mercer.steps import Flow, Request, error_of

JSON = {"Content-Type": "application/json"}


class _KeyList(BaseModel):
    keys: list[ApiKey]


def create_key(
    name: str, scopes: Iterable[Scope | str], tenant: str | None, expires_at: datetime | None
) -> Flow[CreatedKey]:
    """A new key. Sent once: when the reply is lost there may be a key that nobody knows, which the list shows."""
    wanted = NewKey(name=name, scopes=frozenset(map(Scope, scopes)), tenant=tenant, expires_at=expires_at)
    body = wanted.model_dump_json(exclude_none=True).encode()
    outcome = yield Request("POST", "/v1/keys", headers=JSON, body=body)
    if isinstance(outcome, ConnectionFailed):
        raise outcome
    if outcome.status >= 400:
        raise error_of(outcome)
    return CreatedKey.model_validate_json(outcome.body)


def list_keys() -> Flow[list[ApiKey]]:
    """All that may be seen."""
    reply = yield from exchange(Request("GET", "/v1/keys"))
    return _KeyList.model_validate_json(reply.body).keys


def revoke_key(key_id: str) -> Flow[None]:
    """Forget a key."""
    yield from exchange(Request("DELETE", f"/v1/keys/{quote(key_id, safe='')}"))
