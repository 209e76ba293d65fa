"""`mercer keys ...`: API keys created, listed and revoked."""

from __future__ import annotations

import json
from argparse import Namespace
from datetime import UTC, datetime, timedelta

from mercer.client import Client
from mercer.commands import table
from mercer.keys import ApiKey


def create(client: Client, arguments: Namespace) -> str:
    """A new key: its text alone, so that a script may keep it, or its record."""
    days = arguments.expires_in_days
    expires_at = None if days is None else datetime.now(UTC) + timedelta(days=days)
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


def _row(key: ApiKey) -> tuple[str, ...]:
    expires = f"{key.expires_at:%Y-%m-%d}" if key.expires_at else "never"
    used = str(key.last_used_on) if key.last_used_on else "never"
    return key.id, key.name, key.tenant, " ".join(sorted(key.scopes)), expires, used
