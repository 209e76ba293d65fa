"""From the text of an API key to who asks: remembered for seconds, so that most requests look into a dictionary.

What is remembered is found by the key's SHA-256: no key stays in memory, and the time of a look tells nothing about it.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import math
import time
from collections.abc import Coroutine
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, date, datetime
from hmac import compare_digest
from typing import Any

from starlette.concurrency import run_in_threadpool

from mercer.errors import Unauthenticated, Unavailable
from mercer.keys import ALL_SCOPES, ApiKey
from mercer.tenants import DEFAULT_TENANT
from service.principals import ROOT, Principal
from store.keys import ApiKeys

REMEMBERED_S = 5.0
"""How long a revoked key may still be taken by another process than the one that revoked it."""

REFRESH_S = 2.5
"""After so long a key in use is looked up again, beside the requests that it answers meanwhile."""

MAX_REMEMBERED = 10_000
"""Wrong keys included, about 300 bytes each."""

REFUSAL = (
    "expected a valid API key as `Authorization: Bearer mk_...`, got none, or one that is unknown, revoked or expired"
)

log = logging.getLogger("mercer.service")


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of a key's text."""

    principal: Principal | None
    """None: it is no key."""
    looked_s: float
    """When the store was asked, by the monotonic clock."""
    until_s: float


class Keyring:
    """The keys that this process has seen lately.

    Args:
        keys: All keys.
        root: The text of the root key.
    """

    def __init__(self, keys: ApiKeys, root: str) -> None:
        self._keys = keys
        self._root = hashlib.sha256(root.encode()).digest()
        self._known: dict[bytes, Known] = {}
        self._looking: dict[bytes, asyncio.Task[Known]] = {}
        self._noting: set[asyncio.Task[None]] = set()
        self._days: dict[str, date] = {}

    async def principal(self, authorization: str) -> Principal:
        """Who asks.

        Raises:
            Unauthenticated: nobody who may.
            Unavailable: the store cannot say.
        """
        scheme, _, text = authorization.partition(" ")
        digest = hashlib.sha256(text.encode()).digest()
        known, now = self._known.get(digest), time.monotonic()
        if scheme.lower() != "bearer":
            raise Unauthenticated(REFUSAL)
        if known is None or now >= known.until_s:
            known = await asyncio.shield(self._look_up(digest, text))
        elif now >= known.looked_s + REFRESH_S:
            self._look_up(digest, text)
        if known.principal is None:
            raise Unauthenticated(REFUSAL)
        self._note_use(known.principal)
        return known.principal

    def forget(self, key_id: str) -> None:
        """A key was revoked: refuse it from now on."""
        self._known = {
            digest: known
            for digest, known in self._known.items()
            if known.principal is None or known.principal.key != key_id
        }

    def _look_up(self, digest: bytes, text: str) -> asyncio.Task[Known]:
        """One look for all requests that need it at once."""
        if digest not in self._looking:
            task = self._looking[digest] = asyncio.create_task(self._ask(digest, text))
            task.add_done_callback(lambda done: (self._looking.pop(digest), done.exception()))
        return self._looking[digest]

    async def _ask(self, digest: bytes, text: str) -> Known:
        asked_s = time.monotonic()
        if compare_digest(digest, self._root):
            known = Known(Principal(DEFAULT_TENANT, ROOT, ALL_SCOPES), asked_s, math.inf)
        else:
            known = _known(await run_in_threadpool(self._keys.find, text), asked_s)
        if len(self._known) >= MAX_REMEMBERED:
            self._known.clear()
        self._known[digest] = known
        return known

    def _note_use(self, principal: Principal) -> None:
        """Once a day, beside the request."""
        today = datetime.now(UTC).date()
        if principal.key in (None, ROOT) or self._days.get(principal.key) == today:
            return
        self._days[principal.key] = today
        self._beside(self._store_use(principal.key, today))

    async def _store_use(self, key_id: str, day: date) -> None:
        with suppress(Unavailable):
            await run_in_threadpool(self._keys.note_use, key_id, day)

    def _beside(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._noting.add(task)
        task.add_done_callback(self._noting.discard)


def _known(key: ApiKey | None, asked_s: float) -> Known:
    """What the store says, until it is to be asked again or the key expires."""
    left_s = math.inf
    if key is not None and key.expires_at is not None:
        left_s = (key.expires_at - datetime.now(UTC)).total_seconds()
    if key is None or left_s <= 0:
        return Known(None, asked_s, asked_s + REMEMBERED_S)
    return Known(Principal(key.tenant, key.id, key.scopes), asked_s, asked_s + min(REMEMBERED_S, left_s))
