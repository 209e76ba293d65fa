"""Answers in JSON from bytes that are written already. Starlette's own way to headers costs as much as the rest."""

from __future__ import annotations

from collections.abc import Mapping

from starlette.responses import Response


class JsonAnswer(Response):
    """A JSON document.

    Args:
        body: The document.
        status: Of the answer.
        headers: Further ones; their names in lower case.
    """

    media_type = "application/json"

    def __init__(self, body: bytes, status: int, headers: Mapping[str, str] | None = None) -> None:
        self.body = body
        self.status_code = status
        self.background = None
        self.raw_headers = [(b"content-length", b"%d" % len(body)), (b"content-type", b"application/json")]
        if headers:
            self.raw_headers += [(name.encode(), value.encode("latin-1")) for name, value in headers.items()]
