"""Deliveries of webhooks: their events are queued by the scripts that end jobs, and taken by any service process."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple

from pydantic import BaseModel
from pydantic_core import from_json

from broker.pipe import Pipe

RECENT_KEPT = 50
"""Deliveries that ended, of each endpoint."""


class Tries(BaseModel):
    """How the deliveries of one event to one endpoint went that were tried."""

    attempts: int = 0
    status: int | None = None
    """That the receiver answered at last; None when it did not."""
    reason: str | None = None
    """Why the last one failed."""
    tried_ms: int | None = None
    outcome: str = "waiting"
    """waiting, delivered or abandoned."""


class Outcome(StrEnum):
    """How one attempt ended."""

    DELIVERED = "delivered"
    FAILED = "failed"
    """It is tried again."""
    ABANDONED = "abandoned"


@dataclass(frozen=True, slots=True)
class Message:
    """An event on its way to one endpoint."""

    id: str
    """The same at every attempt, and at every endpoint."""
    event: str
    subject: str
    """Id of the job, the batch or the endpoint that it tells of."""
    kind: str
    created_ms: int
    tries: Tries = field(default_factory=Tries)
    due_ms: int | None = None
    """When it is to be delivered, of one that waits."""


class Taken(NamedTuple):
    """An endpoint that this process has until the lease ends, and what is due there."""

    endpoint: str
    tenant: str
    version: int
    """Of its registration in the store; 0 when it is not registered."""
    now_ms: int
    lease_ends_ms: int
    failing_since_ms: int | None
    """Since when nothing was delivered; None while it does not fail."""
    messages: list[Message]


class HookState(NamedTuple):
    """How the deliveries to one endpoint go."""

    waiting: int
    delivered: int
    abandoned: int
    dropped: int
    failing_since_ms: int | None
    messages: list[Message]
    """Those that wait, the next first, then those that ended, the last first."""


class HookDepth(NamedTuple):
    """How the deliveries of all endpoints go."""

    waiting: int
    undelivered: int
    """Events ever given up or dropped."""
    oldest_ms: int
    """For how long the oldest delivery has been due at an endpoint that does not fail."""
    failing: int
    """Endpoints at which deliveries wait and fail."""


class Webhooks:
    """What the service asks of the queue about webhooks.

    Args:
        pipe: To Redis.
    """

    def __init__(self, pipe: Pipe) -> None:
        self._pipe = pipe

    async def put(self, endpoint: str, tenant: str, version: int, events: Iterable[str]) -> bool:
        """Make a version of a registration count, unless a later one does; without events it takes none.

        Returns:
            False when it counted already, or a later one does.
        """
        wanted = " ".join(events)
        return bool(await self._pipe.run("hook_put", endpoint, tenant, version, f" {wanted} " if wanted else ""))

    async def remove(self, endpoint: str, tenant: str) -> None:
        """Forget an endpoint and all that waits for it."""
        await self._pipe.run("hook_remove", endpoint, tenant)

    async def test(self, endpoint: str, event: str, kind: str) -> Message | None:
        """Queue an event of its own for an endpoint; None when too many wait."""
        answer = await self._pipe.run("hook_test", endpoint, event, kind)
        return _message(*answer) if answer else None

    async def take(self, lease_ms: int, at_most: int) -> Taken | None:
        """The endpoint whose delivery has been due for longest, which nobody else is given for so long."""
        answer = await self._pipe.run("hook_take", lease_ms, at_most)
        if answer is None:
            return None
        endpoint, tenant, version, now, ends, failing, *values = answer
        messages = [_message(*value) for value in zip(*[iter(values)] * 3, strict=True)]
        since = int(failing) if failing else None
        return Taken(endpoint.decode(), tenant.decode(), version, now, ends, since, messages)

    async def settle(self, endpoint: str, message: str, outcome: Outcome, tries: Tries, again_ms: int = 0) -> None:
        """Note how an attempt went.

        Args:
            endpoint: Where.
            message: Which.
            outcome: How.
            tries: All of its attempts, this one included.
            again_ms: After how long a failed one is tried again.
        """
        record = tries.model_dump_json(exclude_none=True)
        await self._pipe.run("hook_settle", endpoint, message, outcome.value, record, again_ms, RECENT_KEPT)

    async def rest(self, taken: Taken) -> None:
        """This process is done with an endpoint for now."""
        await self._pipe.run("hook_rest", taken.endpoint, taken.lease_ends_ms)

    async def state(self, endpoint: str) -> HookState:
        """How the deliveries to an endpoint go."""
        waiting, counts, due, recent = await self._pipe.run("hook_state", endpoint, RECENT_KEPT)
        delivered, abandoned, dropped, failing = (int(count or 0) for count in counts)
        messages = [_message(*values) for values in due] + [_recent(text) for text in recent]
        return HookState(waiting, delivered, abandoned, dropped, failing or None, messages)

    async def depth(self) -> HookDepth:
        """How the deliveries of all endpoints go."""
        return HookDepth(*await self._pipe.run("hook_depth"))


def _message(message: bytes, event: bytes, tries: bytes = b"", due: bytes | None = None) -> Message:
    name, subject, kind, created = event.decode().split(" ")
    return Message(
        id=message.decode(),
        event=name,
        subject=subject,
        kind=kind,
        created_ms=int(created),
        tries=_tries(tries),
        due_ms=int(float(due)) if due else None,
    )


def _recent(text: bytes) -> Message:
    message, *event, tries = text.split(b" ", 5)
    return _message(message, b" ".join(event), tries)


def _tries(text: bytes) -> Tries:
    return Tries.model_validate(from_json(text)) if text else Tries()
