"""`mercer keys ...`: API keys created, listed and revoked."""

from __future__ import annotations

import json
from argparse import Namespace
from datetime import UTC, datetime, timedelta

from mercer.client import Client
from mercer.errors import InvalidRequest
from mercer.keys import ApiKey
from mercer.tables import table


def create(client: Client, arguments: Namespace) -> str:
    """A new key: its text alone, so that a script may keep it, or its record.

    Raises:
        InvalidRequest: it would expire after the last year that a date can have.
    """
    expires_at = None if arguments.expires_in_days is None else _in(arguments.expires_in_days)
    made = client.keys.create(arguments.name, arguments.scope, tenant=arguments.tenant, expires_at=expires_at)
    return made.model_dump_json(indent=2, exclude_none=True) if arguments.json else made.key


def listing(client: Client, arguments: Namespace) -> str:
    """The keys, without their secrets."""
    keys = client.keys.list()
    if arguments.json:
        return json.dumps([key.model_dump(mode="json", exclude_none=True) for key in keys], indent=2)
    return table(("id", "name", "tenant", "scopes", "expires", "last used"), [_row(key) for key in keys])


def revoke(client: Client, arguments: Namespace) -> str:
    """Refuse keys from now on."""
    for key_id in arguments.id:
        client.keys.revoke(key_id)
    return ""


def _in(days: float) -> datetime:
    try:
        return datetime.now(UTC) + timedelta(days=days)
    except OverflowError:
        raise InvalidRequest("expected fewer days; without --expires-in-days a key never expires") from None


def _row(key: ApiKey) -> tuple[str, ...]:
    expires = f"{key.expires_at:%Y-%m-%d}" if key.expires_at else "never"
    used = str(key.last_used_on) if key.last_used_on else "never"
    return key.id, key.name, key.tenant, " ".join(sorted(key.scopes)), expires, used
