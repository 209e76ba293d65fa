"""API keys: kept as hashes, so that whoever reads the store learns none.

keys/<id>/key.json          what the key may do, and the SHA-256 of its secret; it is valid for as long as this is there
keys/<id>/used-<day>        it was used on this day

A key is `mk_<id>_<secret>`. The secret is 256 random bits, so that a fast hash is the right one: nobody can try them
all, and a slow hash, which protects what people choose, would let anybody keep the service busy with wrong keys.
"""

from __future__ import annotations

import hashlib
import re
import secrets
from collections import defaultdict
from datetime import UTC, date, datetime
from hmac import compare_digest

from pydantic import BaseModel

from mercer.keys import ApiKey, CreatedKey, Scope
from store.objects import Objects

PREFIX = "keys/"
ID_BYTES = 8
SECRET_BYTES = 32

_KEY = re.compile(r"mk_([0-9a-f]{16})_([0-9a-f]{64})")
_NOBODYS = "0" * 64


class _Kept(BaseModel):
    """What keys/<id>/key.json holds."""

    key: ApiKey
    sha256: str


class ApiKeys:
    """The API keys of an object store."""

    def __init__(self, objects: Objects) -> None:
        self._objects = objects

    def create(self, name: str, tenant: str, scopes: frozenset[Scope], expires_at: datetime | None) -> CreatedKey:
        """Make a key and keep its hash.

        Raises:
            Unavailable: it cannot be stored.
        """
        key_id, secret = secrets.token_hex(ID_BYTES), secrets.token_hex(SECRET_BYTES)
        created = ApiKey(
            id=key_id, name=name, tenant=tenant, scopes=scopes, created_at=datetime.now(UTC), expires_at=expires_at
        )
        with self._objects.writer(_path(key_id)) as writer:
            writer.write(_Kept(key=created, sha256=_sha256(secret)).model_dump_json().encode())
            writer.commit()
        return CreatedKey(**dict(created), key=f"mk_{key_id}_{secret}")

    def find(self, text: str) -> ApiKey | None:
        """The key of this text; None when it is none, or was revoked. Whether it has expired is for the caller."""
        parts = _KEY.fullmatch(text)
        if parts is None:
            return None
        kept = self._read(parts[1])
        same = compare_digest(_sha256(parts[2]), kept.sha256 if kept else _NOBODYS)
        return kept.key if kept and same else None

    def list(self) -> list[ApiKey]:
        """All keys with the day of their last use, the newest first."""
        days: defaultdict[str, list[date]] = defaultdict(list)
        for entry in self._objects.keys(PREFIX):
            key_id, _, name = entry.key.removeprefix(PREFIX).partition("/")
            days[key_id] += [date.fromisoformat(name.removeprefix("used-"))] if name.startswith("used-") else []
        found = [(kept.key, used) for key_id, used in days.items() if (kept := self._read(key_id))]
        shown = [key.model_copy(update={"last_used_on": max(used, default=None)}) for key, used in found]
        return sorted(shown, key=lambda key: key.created_at, reverse=True)

    def revoke(self, key_id: str) -> bool:
        """Forget a key; False when there was none."""
        known = self._objects.delete(_path(key_id))
        self._forget_uses(key_id)
        return known

    def note_use(self, key_id: str, day: date) -> None:
        """Remember that a key was used on a day, and no earlier one.

        Raises:
            Unavailable: it cannot be stored.
        """
        name = f"{PREFIX}{key_id}/used-{day.isoformat()}"
        with self._objects.writer(name) as writer:
            writer.commit()
        self._forget_uses(key_id, but=name)

    def _forget_uses(self, key_id: str, but: str = "") -> None:
        for entry in [*self._objects.keys(f"{PREFIX}{key_id}/used-")]:
            if entry.key != but:
                self._objects.delete(entry.key)

    def _read(self, key_id: str) -> _Kept | None:
        try:
            return _Kept.model_validate_json(b"".join(self._objects.read(_path(key_id))))
        except KeyError:
            return None


def _path(key_id: str) -> str:
    return f"{PREFIX}{key_id}/key.json"


def _sha256(secret: str) -> str:
    return hashlib.sha256(secret.encode()).hexdigest()
