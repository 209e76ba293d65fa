"""Reading request bodies: counted in bytes while they arrive, refused before they are read where they say so."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import TypeVar

from pydantic import BaseModel, ValidationError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.types import Message

from mercer.errors import InvalidRequest, TooLarge, UnsupportedFormat
from service.field_errors import problem_of
from service.long_bodies import check_document

M = TypeVar("M", bound=BaseModel)

READ_TIMEOUT_S = 30
"""Between two pieces of a body: a client that sends nothing for so long holds a connection for nothing."""


async def pieces(request: Request, limit: int) -> AsyncIterator[bytes]:
    """The body as it arrives, never more than `limit` bytes.

    Raises:
        UnsupportedFormat: it is compressed, and may become anything.
        TooLarge: before reading anything when Content-Length already says so.
        InvalidRequest: Content-Length is not a number.
        HTTPException: 408, the client stopped sending.
        ClientDisconnect: the client went away.
    """
    _check_coding(request)
    declared = request.headers.get("content-length", "0")
    if not declared.isdecimal():
        raise InvalidRequest(f"expected a number as Content-Length, got {declared[:40]}")
    if len(declared) > 18 or int(declared) > limit:
        raise TooLarge(f"expected a body of at most {limit} bytes, got Content-Length {declared[:40]}")
    received = 0
    message = await request.receive()
    while True:
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
        message = await _next(request)


def _check_coding(request: Request) -> None:
    coding = request.headers.get("content-encoding", "identity").strip().lower()
    if coding != "identity":
        raise UnsupportedFormat(f"expected no Content-Encoding, got {coding[:40]}")


async def _next(request: Request) -> Message:
    try:
        async with asyncio.timeout(READ_TIMEOUT_S):
            return await request.receive()
    except TimeoutError:
        raise HTTPException(408, f"expected more of the body within {READ_TIMEOUT_S} s, got nothing") from None


async def read_json(request: Request, limit: int) -> bytes:
    """The whole body of a JSON request, not parsed.

    Raises:
        UnsupportedFormat: another media type, such as the one that `curl -d` sends by itself.
        TooLarge: more than `limit` bytes.
    """
    content_type = request.headers.get("content-type", "application/json").split(";")[0].strip().lower()
    if content_type != "application/json":
        raise UnsupportedFormat(f"expected Content-Type: application/json, got {content_type[:80]}")
    return b"".join([piece async for piece in pieces(request, limit)])


async def read_model(request: Request, model: type[M], limit: int) -> M:
    """The JSON body as a model, parsed from its bytes: FastAPI's own way fails on deep documents and huge integers.

    Raises:
        InvalidRequest: no JSON.
        InvalidSpec: naming every field at fault.
        TooLarge: it is longer than `limit`, or holds more than any honest one.
    """
    body = await read_json(request, limit)
    check_document(body)
    try:
        return model.model_validate_json(body)
    except ValidationError as error:
        raise problem_of(error, body) from None
