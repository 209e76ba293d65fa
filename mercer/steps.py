"""What the client does, as values: requests, replies and pauses. No I/O here.

The client's logic is written once, as generators (flows) that yield steps and are sent the outcomes;
`mercer.transport` performs the steps, with blocking calls or with await.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Generator, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol, TypeAlias, TypeVar

from mercer.errors import MercerError, Unavailable, from_problem

GATEWAY_STATUSES = frozenset({502, 503, 504})
"""With these a proxy says that the service is away."""

Chunks = Callable[[], Iterator[bytes]]


class Sink(Protocol):
    """Where the body of a large response goes, piece by piece."""

    def headers(self) -> dict[str, str]:
        """Ask for what is still missing after a connection was lost."""

    def begin(self, status: int, headers: Mapping[str, str]) -> None:
        """A successful response begins; 206 goes on where the last one broke off."""

    def write(self, chunk: bytes) -> None:
        """Take the next piece."""


@dataclass(frozen=True, slots=True)
class Request:
    """One HTTP request, which may be sent again: its body is bytes, or a function that begins it anew."""

    method: str
    path: str
    params: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | Chunks | None = None
    sink: Sink | None = None
    held_s: float = 0.0
    """How long the service may hold the request before it answers."""


class Reply(NamedTuple):
    """What came back; the body is empty when it went to the request's sink."""

    status: int
    headers: Mapping[str, str]
    body: bytes = b""

    @property
    def retry_after_s(self) -> int | None:
        """The Retry-After header, when it is a number of seconds."""
        value = self.headers.get("retry-after", "")
        return int(value) if value.isdigit() else None


class Pause(NamedTuple):
    """Sleep."""

    seconds: float


class Work(NamedTuple):
    """Something that takes a while and would hold up an event loop, such as hashing."""

    function: Callable[[], Any]


class Together(NamedTuple):
    """Two flows at once, both to their ends."""

    first: Flow[Any]
    second: Flow[Any]


Step: TypeAlias = Request | Pause | Work | Together
T = TypeVar("T")
Flow: TypeAlias = Generator[Step, Any, T]
"""Yields steps; is sent a Reply or a ConnectionFailed for a request, the result for work, and for two flows what each
returned, or the MercerError that it raised."""


def error_of(reply: Reply) -> MercerError:
    """The error that a reply of status 400 or more stands for."""
    try:
        document = json.loads(reply.body)
    except ValueError:
        document = None
    if not isinstance(document, dict):  # something between us and the service answered
        detail = f"The service answered with status {reply.status} and no reason."
        error = Unavailable if reply.status in GATEWAY_STATUSES else MercerError
        return error(detail, retry_after_s=reply.retry_after_s)
    return from_problem(document, retry_after_s=reply.retry_after_s)
