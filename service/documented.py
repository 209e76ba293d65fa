"""What routes tell openapi.yaml about themselves where FastAPI cannot see it: raw bodies and problems."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from mercer.errors import MEDIA_TYPE

JSON = "application/json"

TITLES = {
    400: "The request cannot be read.",
    401: "No valid API key; only where the service asks for keys.",
    403: "The API key lacks the scope.",
    404: "No such thing.",
    406: "Accept allows none of the representations.",
    408: "The body did not come.",
    409: "The state of the job, the data set or its budget does not allow it.",
    413: "The body is too large.",
    415: "The media type is not one that is read.",
    416: "The range begins after the last byte.",
    422: "The content is not valid; `errors` names the fields.",
    423: "The ledger of private data sets is an old copy: an operator has to reconcile it.",
    429: "The queue is full, or the API key sends too many requests.",
    503: "Redis is away, the store is full, or the service is ending.",
}

_RETRY_AFTER = {"Retry-After": {"description": "In seconds.", "schema": {"type": "integer"}}}
_CHALLENGE = {"WWW-Authenticate": {"description": "Bearer", "schema": {"type": "string"}}}


def reference(schema: str) -> dict[str, str]:
    """A schema of the components."""
    return {"$ref": f"#/components/schemas/{schema}"}


def content(schema: str | None, description: str, *binary: str) -> dict[str, Any]:
    """A response: JSON of a schema, or bytes of other media types."""
    kinds: dict[str, Any] = {JSON: {"schema": reference(schema)}} if schema else {}
    kinds |= {media_type: {"schema": {"type": "string", "format": "binary"}} for media_type in binary}
    return {"description": description, "content": kinds}


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The errors that a route answers."""
    return {status: _problem(status) for status in statuses}


def _problem(status: int) -> dict[str, Any]:
    answer: dict[str, Any] = {
        "description": TITLES.get(status) or HTTPStatus(status).phrase,
        "content": {MEDIA_TYPE: {"schema": reference("Problem")}},
    }
    if status == 401:
        answer["headers"] = _CHALLENGE
    if status in {429, 503}:
        answer["headers"] = _RETRY_AFTER
    return answer


def body_of(schema: str, examples: dict[str, Any] | None = None) -> dict[str, Any]:
    """The request body of a raw route."""
    described: dict[str, Any] = {"schema": reference(schema)}
    if examples:
        described["examples"] = {name: {"value": value} for name, value in examples.items()}
    return {"requestBody": {"required": True, "content": {JSON: described}}}


def header(name: str, description: str) -> dict[str, Any]:
    """A request header of a raw route."""
    return {"in": "header", "name": name, "description": description, "schema": {"type": "string"}}
