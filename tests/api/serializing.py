"""How schemathesis writes the media types of ours that it does not know."""

import json

import schemathesis


@schemathesis.serializer("application/jsonl", "application/x-ndjson")
def lines(_: object, value: object) -> bytes:
    """Each item of a list on a line of its own, anything else on one."""
    items = value if isinstance(value, list) else [value]
    return b"".join(json.dumps(item).encode() + b"\n" for item in items)
