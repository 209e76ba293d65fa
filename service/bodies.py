"""Reading request bodies: counted in bytes and seconds while they come, refused unread where they say it themselves."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from typing import TypeVar

from pydantic import BaseModel, ValidationError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.types import Message, Receive

from mercer.errors import InvalidRequest, TooLarge, UnsupportedFormat
from service.eager import within
from service.field_errors import problem_of
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
    _check_coding(request)
    declared_bytes(request, limit)
    settings = request.app.state.parts.settings
    pace = _Pace(request.receive, settings.body_timeout_s, settings.min_body_rate)
    received = 0
    while True:
        message = await pace.next()
        if message["type"] == "http.disconnect":
            raise ClientDisconnect
        piece: bytes = message.get("body", b"")
        received += len(piece)
        if received > limit:
            raise TooLarge(f"expected a body of at most {limit} bytes, got more")
        if piece:
            yield piece
        if not message.get("more_body", False):
            return


async def large_pieces(request: Request, limit: int) -> AsyncIterator[bytearray]:
    """The same gathered to PIECE_BYTES or more, but for the last, while there is room for it in memory.

    Raises:
        Unavailable: too many others come at the same time.
    """
    parts: Parts = request.app.state.parts
    async with parts.room.taken(min(STREAM_BYTES, 3 * declared_bytes(request, limit))):
        piece = bytearray()
        async for chunk in pieces(request, limit):
            piece += chunk
            if len(piece) >= PIECE_BYTES:
                yield piece
                piece = bytearray()
        yield piece


def declared_bytes(request: Request, limit: int) -> int:
    """What Content-Length says, and `limit` where it is missing.

    Raises:
        InvalidRequest: it is not a number.
        TooLarge: it is over the limit.
    """
    if (declared := request.headers.get("content-length")) is None:
        return limit
    if not declared.isdecimal():
        raise InvalidRequest(f"expected a number as Content-Length, got {declared[:40]}")
    if len(declared) > 18 or int(declared) > limit:
        raise TooLarge(f"expected a body of at most {limit} bytes, got Content-Length {declared[:40]}")
    return int(declared)


def _check_coding(request: Request) -> None:
    coding = request.headers.get("content-encoding", "identity").strip().lower()
    if coding != "identity":
        raise UnsupportedFormat(f"expected no Content-Encoding, got {coding[:40]}")


class _Pace:
    """Seconds that a client has left: waiting for it takes them, and each byte that comes gives some back.

    Only waiting counts, so that a slow disk of ours is not held against the client.
    """

    def __init__(self, receive: Receive, timeout_s: float, bytes_per_s: float) -> None:
        self._receive = receive
        self._timeout_s = self._left_s = timeout_s
        self._s_per_byte = 1 / bytes_per_s

    async def next(self) -> Message:
        """What comes next.

        Raises:
            HTTPException: 408, nothing in time.
        """
        loop = asyncio.get_running_loop()
        started = loop.time()
        try:
            message: Message = await within(self._left_s, self._receive())
        except TimeoutError:
            detail = f"expected at least {1 / self._s_per_byte:g} bytes of the body a second, got fewer"
            raise HTTPException(408, detail, {"connection": "close"}) from None
        earned_s = len(message.get("body", b"")) * self._s_per_byte
        self._left_s = min(self._timeout_s, self._left_s - (loop.time() - started) + earned_s)
        return message


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
        request = self._request
        content_type = request.headers.get("content-type", "application/json").split(";")[0].strip().lower()
        if content_type != "application/json":
            raise UnsupportedFormat(f"expected Content-Type: application/json, got {content_type[:80]}")
        if (size := declared_bytes(request, self._limit)) <= LONG_BYTES:
            return await self._read()
        self._held = AsyncExitStack()
        await self._held.enter_async_context(request.app.state.parts.room.taken(JSON_FACTOR * size))
        try:
            return await self._read()
        except BaseException:
            await self._held.aclose()
            raise

    async def __aexit__(self, *_: object) -> None:
        if self._held is not None:
            await self._held.aclose()

    async def _read(self) -> bytes:
        return b"".join([piece async for piece in pieces(self._request, self._limit)])


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
