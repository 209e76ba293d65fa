"""The one place where errors become RFC 9457 problem documents."""

from __future__ import annotations

import json
import logging
from http import HTTPStatus
from typing import Any
from uuid import uuid4

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, Field
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from mercer.errors import MEDIA_TYPE, InvalidRequest, MercerError, NotFound

logger = logging.getLogger("mercer.service")


class FieldProblem(BaseModel):
    """What is wrong with one field."""

    pointer: str = Field(description="RFC 6901, from the root of the request body.", examples=["/kernel/lengthscale"])
    detail: str = Field(description="What was expected and what was got.")


class Problem(BaseModel):
    """Every error, as RFC 9457 has it; its media type is application/problem+json."""

    type: str = Field(
        description="What kind of problem: see docs/02-http.md.", examples=["urn:mercer:problem:invalid-spec"]
    )
    title: str
    status: int
    detail: str
    errors: list[FieldProblem] | None = Field(None, description="The fields at fault, when there are any.")


def install(app: FastAPI) -> None:
    """Make every error of the app a problem document."""
    for kind in (MercerError, HTTPException, RequestValidationError, ClientDisconnect, Exception):
        app.add_exception_handler(kind, _handle)


async def _handle(request: Request, error: Exception) -> Response:
    return answer_to(request, error)


def answer_to(request: Request, error: Exception) -> Response:
    """The problem document of whatever went wrong with a request."""
    match error:
        case MercerError():
            return response(error)
        case HTTPException():
            return _http_exception(request, error)
        case RequestValidationError():
            return _bad_parameter(error)
        case ClientDisconnect():
            return Response(status_code=HTTPStatus.BAD_REQUEST)  # which nobody reads
        case _:
            return _unexpected(request, error)


def response(error: MercerError) -> Response:
    """The answer for one of our own errors."""
    headers = {} if error.retry_after_s is None else {"retry-after": str(error.retry_after_s)}
    if error.status == HTTPStatus.UNAUTHORIZED:
        headers["www-authenticate"] = 'Bearer realm="mercer"'
    return _document(error.problem(), headers)


def _document(problem: dict[str, Any], headers: dict[str, str]) -> Response:
    return Response(json.dumps(problem), problem["status"], headers, media_type=MEDIA_TYPE)


def _http_exception(request: Request, error: HTTPException) -> Response:
    """Starlette's own: an unknown address, a method that the address has not."""
    if error.status_code == HTTPStatus.NOT_FOUND:
        return response(NotFound(f"expected an address of GET /openapi.json, got {request.url.path[:80]}"))
    headers = dict(error.headers or {})
    detail = error.detail
    if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        headers["Allow"] = allowed = _methods_at(request)
        detail = f"expected {allowed} at this address, got {request.method}"
    # about:blank is RFC 9457's type for a problem that its HTTP status already says.
    title = HTTPStatus(error.status_code).phrase
    return _document({"type": "about:blank", "title": title, "status": error.status_code, "detail": detail}, headers)


def _methods_at(request: Request) -> str:
    """Of all routes there; a path of its own comes before one with parameters. Starlette knows those of one route."""
    path = request.scope["path"]
    routes = [route for route in request.app.routes if isinstance(route, Route)]
    there = [route for route in routes if route.path == path] or [
        route for route in routes if route.path_regex.match(path)
    ]
    return ", ".join(sorted({method for route in there for method in route.methods or ()}))


def _bad_parameter(error: RequestValidationError) -> Response:
    """FastAPI's own: a parameter of the query that does not fit; it reads no bodies here."""
    faults = [f"{'.'.join(str(step) for step in fault['loc'][1:])}: {fault['msg']}" for fault in error.errors()]
    return response(InvalidRequest(f"a parameter of the address is not valid: {'; '.join(faults)[:500]}"))


def _unexpected(request: Request, error: Exception) -> Response:
    incident = uuid4().hex[:12]
    logger.error("incident %s: %s %s", incident, request.method, request.url.path, exc_info=error)
    return response(MercerError(f"The service failed unexpectedly; its log has the reason as incident {incident}."))
