"""Content-Digest (RFC 9530): what the bytes of a body have to be."""

from __future__ import annotations

import re
from base64 import b64decode
from typing import Any

from mercer.errors import InvalidRequest
from service.documented import header
from service.headers import Fields

_SHA_256 = re.compile(r"\s*sha-256=:([A-Za-z0-9+/]{43}=):\s*")

PARAMETER: dict[str, Any] = {
    **header("Content-Digest", "SHA-256 of the body, as `sha-256=:base64:` (RFC 9530)."),
    "required": True,
}


def content_digest(fields: Fields) -> str:
    """The SHA-256 that a request gives its body, as sha256: and hex digits; those of other algorithms are ignored.

    Raises:
        InvalidRequest: there is none that can be read.
    """
    members = (fields.get("content-digest") or "").split(",")
    # Of a key that comes twice the last value counts (RFC 8941, 3.2).
    given = [match[1] for member in members if (match := _SHA_256.fullmatch(member))]
    if not given:
        raise InvalidRequest(
            "expected a header Content-Digest: sha-256=:<base64>: with the SHA-256 of the body (RFC 9530), "
            "got none of this form"
        )
    return f"sha256:{b64decode(given[-1]).hex()}"
