"""What request headers ask for: Prefer (RFC 7240), Accept, If-None-Match and Range (RFC 9110), deadlines. All pure."""

from __future__ import annotations

import re
from typing import NamedTuple

from starlette.types import Scope

from mercer.errors import InvalidRequest, NotAcceptable
from mercer.jobs import Priority

MAX_WAIT_S = 30
"""The longest hold of one request: proxies commonly give up after 60 s."""

_WAIT = re.compile(r"\s*wait\s*=\s*\"?(\d{1,6})\"?\s*", re.IGNORECASE)
_RANGE = re.compile(r"bytes\s*=\s*(\d{0,18})\s*-\s*(\d{0,18})\s*", re.IGNORECASE)
_SPAN = re.compile(r"(\d{1,6})(s|m|h)")
_KEY = re.compile(r"[\x21-\x7e]{1,255}")


MIN_SPAN_S, MAX_SPAN_S = 1, 86_400
"""Of a deadline: whoever looks after them does so twice a second, and records live for a day."""

_UNITS_S = {"s": 1, "m": 60, "h": 3_600}


class Fields:
    """The header fields of a request by their names in lower case; of equal ones the first counts.

    Starlette's own look through all of them each time, which for a small job costs as much as parsing it.
    """

    __slots__ = ("_fields",)

    def __init__(self, scope: Scope) -> None:
        self._fields: dict[bytes, bytes] = dict(reversed(scope["headers"]))

    def get(self, name: str) -> str | None:
        """What it says, if it is there."""
        value = self._fields.get(name.encode())
        return None if value is None else value.decode("latin-1")


class Options(NamedTuple):
    """How a submission is to be treated, whatever it computes."""

    cancel_after_ms: int = 0
    """0 is never."""
    priority: Priority = Priority.NORMAL


class Preference(NamedTuple):
    """What a Prefer header asks of a submission."""

    wait_s: int
    """For how long the answer may be held until the job is done; 0 answers at once."""
    applied: str | None
    """For the header Preference-Applied."""


def preference(prefer: str | None) -> Preference:
    """What Prefer asks for: `wait=N`, capped, or `respond-async`; what is unknown is ignored, as the RFC has it."""
    if prefer is None:
        return Preference(0, None)
    tokens = [token.split(";")[0] for token in prefer.split(",")]
    for token in tokens:
        if match := _WAIT.fullmatch(token):
            wait_s = min(int(match[1]), MAX_WAIT_S)
            return Preference(wait_s, f"wait={wait_s}")
    asynchronous = any(token.strip().lower() == "respond-async" for token in tokens)
    return Preference(0, "respond-async" if asynchronous else None)


def idempotency_key(value: str | None) -> str | None:
    """The Idempotency-Key header.

    Raises:
        InvalidRequest: it is empty, too long, or has characters other than printable ASCII.
    """
    if value is not None and not _KEY.fullmatch(value):
        raise InvalidRequest(
            f"expected an Idempotency-Key of 1 to 255 printable ASCII characters without spaces, got {len(value)}"
        )
    return value


def options(fields: Fields, usual: Priority = Priority.NORMAL) -> Options:
    """What the headers Cancel-After and Job-Priority ask for.

    Raises:
        InvalidRequest: one of them cannot be read.
    """
    return Options(cancel_after(fields.get("cancel-after")), priority(fields.get("job-priority"), usual))


def priority(value: str | None, usual: Priority) -> Priority:
    """The Job-Priority header. Not `Priority`, which browsers send by themselves: RFC 9218's, about the answer's bytes.

    Raises:
        InvalidRequest: it is no priority.
    """
    if value is None:
        return usual
    try:
        return Priority(value)
    except ValueError:
        raise InvalidRequest(f"expected a Job-Priority that is {', '.join(Priority)}") from None


def cancel_after(value: str | None) -> int:
    """The Cancel-After header in milliseconds; 0 without it.

    Raises:
        InvalidRequest: it is no such span of time.
    """
    if value is None:
        return 0
    match = _SPAN.fullmatch(value)
    seconds = int(match[1]) * _UNITS_S[match[2]] if match else 0
    if not MIN_SPAN_S <= seconds <= MAX_SPAN_S:
        raise InvalidRequest("expected a Cancel-After from 1s to 24h, such as 30s, 10m or 2h")
    return 1000 * seconds


def choose(accept: str | None, offers: tuple[str, ...]) -> str:
    """The offer that the Accept header likes best; the first of equals.

    Raises:
        NotAcceptable: it refuses all of them.
    """
    ranges = [_media_range(part) for part in (accept or "*/*").split(",") if part.strip()]
    quality = {offer: _quality(offer, ranges) for offer in offers}
    best = max(offers, key=lambda offer: quality[offer])
    if quality[best] <= 0:
        raise NotAcceptable(f"expected Accept to allow {' or '.join(offers)}, got {(accept or '')[:80]}")
    return best


def _media_range(part: str) -> tuple[str, float]:
    name, *parameters = (piece.strip().lower() for piece in part.split(";"))
    weights = [parameter[2:] for parameter in parameters if parameter.startswith("q=")]
    try:
        return name, float(weights[0]) if weights else 1.0
    except ValueError:
        return name, 0.0


def _quality(offer: str, ranges: list[tuple[str, float]]) -> float:
    """That of the most specific range that covers the offer."""
    for covering in (offer, offer.split("/")[0] + "/*", "*/*"):
        for name, quality in ranges:
            if name == covering:
                return quality
    return 0.0


def matches(if_none_match: str | None, etag: str) -> bool:
    """Whether the client already has this representation."""
    if if_none_match is None:
        return False
    tags = {tag.strip().removeprefix("W/") for tag in if_none_match.split(",")}
    return etag in tags or "*" in tags


class Slice(NamedTuple):
    """The bytes start, ..., stop - 1."""

    start: int
    stop: int


class RangeNotSatisfiable(Exception):
    """The range begins after the last byte."""


def byte_range(value: str | None, size: int) -> Slice | None:
    """What a Range header asks of `size` bytes; None is all of them, as for several ranges or another unit.

    Raises:
        RangeNotSatisfiable: the answer is then 416.
    """
    match = _RANGE.fullmatch(value.strip()) if value else None
    if match is None or not (match[1] or match[2]):
        return None
    if not match[1]:
        start, stop = max(0, size - int(match[2])), size
    else:
        start, stop = int(match[1]), min(size, int(match[2]) + 1) if match[2] else size
        if match[2] and int(match[2]) < start:
            return None
    if start >= size or stop <= start:
        raise RangeNotSatisfiable
    return Slice(start, stop)
