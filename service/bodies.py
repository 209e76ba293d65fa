"""Reading request bodies: counted in bytes and seconds while they come, refused unread where they say it themselves."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import TypeVar

from pydantic import BaseModel, ValidationError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request

from mercer.errors import InvalidRequest, TooLarge, UnsupportedFormat
from service.eager import within
from service.field_errors import problem_of
from service.headers import Fields
from service.long_bodies import LONG_BYTES, check_document
from service.parts import Parts

M = TypeVar("M", bound=BaseModel)

JSON_FACTOR = 6
"""Memory for a byte of a long JSON body: the pieces that came, the whole, its text, and what is made of it."""

PIECE_BYTES = 2**20
"""Handed to a thread at a time: a hop costs about 0.1 ms."""

STREAM_BYTES = 3 * PIECE_BYTES
"""Memory of a body that is handed on piece by piece: one that fills, one that is written, and the store's block."""


async def pieces(request: Request, limit: int) -> AsyncIterator[bytes]:
    """The body as it arrives, never more than `limit` bytes.

    Raises:
        UnsupportedFormat: it is compressed, and may become anything.
        TooLarge: before reading anything when Content-Length already says so.
        InvalidRequest: Content-Length is not a number.
        HTTPException: 408, the client was too slow.
        ClientDisconnect: the client went away.
    """
    reading = _Reading(request, Fields(request.scope), limit)
    while not reading.ended:
        if piece := await reading.next():
            yield piece


async def large_pieces(request: Request, limit: int) -> AsyncIterator[bytearray]:
    """The same gathered to PIECE_BYTES or more, but for the last, while there is room for it in memory.

    Raises:
        Unavailable: too many others come at the same time.
    """
    parts: Parts = request.app.state.parts
    async with parts.room.taken(min(STREAM_BYTES, 3 * declared_bytes(Fields(request.scope), limit))):
        piece = bytearray()
        async for chunk in pieces(request, limit):
            piece += chunk
            if len(piece) >= PIECE_BYTES:
                yield piece
                piece = bytearray()
        yield piece


def declared_bytes(fields: Fields, limit: int, unsaid: int | None = None) -> int:
    """What Content-Length says; where it is missing `unsaid`, or the limit.

    Raises:
        InvalidRequest: it is not a number.
        TooLarge: it is over the limit.
    """
    if (declared := fields.get("content-length")) is None:
        return limit if unsaid is None else unsaid
    if not declared.isdecimal():
        raise InvalidRequest(f"expected a number as Content-Length, got {declared[:40]}")
    if len(declared) > 18 or int(declared) > limit:
        raise TooLarge(f"expected a body of at most {limit} bytes, got Content-Length {declared[:40]}")
    return int(declared)


class _Reading:
    """A body on its way, of at most `limit` bytes, at the pace that the settings ask for.

    The client has some seconds: waiting for it takes them, and each byte that comes gives some back. Only waiting
    counts, so that a slow disk of ours is not held against the client.
    """

    def __init__(self, request: Request, fields: Fields, limit: int) -> None:
        coding = fields.get("content-encoding")
        if coding is not None and coding.strip().lower() != "identity":
            raise UnsupportedFormat(f"expected no Content-Encoding, got {coding.strip().lower()[:40]}")
        self.declared = declared_bytes(fields, limit)
        self.ended = False
        self._receive = request.receive
        self._limit = limit
        self._received = 0
        settings = request.app.state.parts.settings
        self._timeout_s = self._left_s = settings.body_timeout_s
        self._bytes_per_s = settings.min_body_rate

    async def next(self) -> bytes:
        """The next piece; it may be empty.

        Raises:
            TooLarge: more came than was allowed.
            HTTPException: 408, nothing in time.
            ClientDisconnect: the client went away.
        """
        try:
            message, waited_s = await within(self._left_s, self._receive())
        except TimeoutError:
            detail = f"expected at least {self._bytes_per_s:g} bytes of the body a second, got fewer"
            raise HTTPException(408, detail, {"connection": "close"}) from None
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        piece: bytes = message.get("body", b"")
        self._received += len(piece)
        if self._received > self._limit:
            raise TooLarge(f"expected a body of at most {self._limit} bytes, got more")
        self.ended = not message.get("more_body", False)
        self._left_s = min(self._timeout_s, self._left_s - waited_s + len(piece) / self._bytes_per_s)
        return piece

    async def rest(self) -> bytes:
        """All that is left of it."""
        piece = await self.next()
        if self.ended:  # as mostly
            return piece
        pieces = [piece]
        while not self.ended:
            pieces.append(await self.next())
        return b"".join(pieces)


class JsonBody:
    """The body of a JSON request, not parsed; `async with` holds room in memory for a long one until its end.

    Raises:
        UnsupportedFormat: another media type, such as the one that `curl -d` sends by itself.
        TooLarge: more than `limit` bytes.
        Unavailable: too many long bodies come at the same time.
        HTTPException: 408, the client was too slow.
    """

    def __init__(self, request: Request, limit: int) -> None:
        self._request = request
        self._limit = limit
        self._held: AsyncExitStack | None = None

    async def __aenter__(self) -> bytes:
        fields = Fields(self._request.scope)
        content_type = fields.get("content-type")
        if content_type not in (None, "application/json"):
            _check_json(content_type)
        reading = _Reading(self._request, fields, self._limit)
        if reading.declared <= LONG_BYTES:
            return await reading.rest()
        self._held = AsyncExitStack()
        room = self._request.app.state.parts.room
        await self._held.enter_async_context(room.taken(JSON_FACTOR * reading.declared))
        try:
            return await reading.rest()
        except BaseException:
            await self._held.aclose()
            raise

    async def __aexit__(self, *_: object) -> None:
        if self._held is not None:
            await self._held.aclose()


def _check_json(content_type: str | None) -> None:
    media_type = (content_type or "").split(";")[0].strip().lower()
    if media_type != "application/json":
        raise UnsupportedFormat(f"expected Content-Type: application/json, got {media_type[:80]}")


async def read_model(request: Request, model: type[M], limit: int) -> M:
    """The JSON body as a model, parsed from its bytes: FastAPI's own way fails on deep documents and huge integers.

    Raises:
        InvalidRequest: no JSON.
        InvalidSpec: naming every field at fault.
        TooLarge: it is longer than `limit`, or holds more than any honest one.
    """
    async with JsonBody(request, limit) as body:
        check_document(body)
        try:
            return model.model_validate_json(body)
        except ValidationError as error:
            raise problem_of(error, body) from None
