"""Answers that are files: ETag, If-None-Match and Range, streamed from the store in threads."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from service.headers import RangeNotSatisfiable, Slice, byte_range, matches

NPY = "application/x-npy"

Open = Callable[[int, int], Iterator[bytes]]
"""Opens the bytes start to stop of a file."""


def not_modified(request: Request, etag: str) -> Response | None:
    """304 when the client has this representation already."""
    headers = {"etag": etag, "vary": "accept"}
    return Response(status_code=304, headers=headers) if matches(request.headers.get("if-none-match"), etag) else None


async def npy_file(request: Request, open_bytes: Open, size: int, etag: str) -> Response:
    """An npy file, whole or the one range that was asked for.

    Args:
        request: Its headers Range and If-Range decide.
        open_bytes: Called in a thread; it raises before the answer begins when the file is gone.
        size: Of the file, in bytes.
        etag: Of this representation.
    """
    headers = {"etag": etag, "vary": "accept", "accept-ranges": "bytes"}
    wanted = request.headers.get("range")
    if request.headers.get("if-range", etag) != etag:
        wanted = None
    try:
        part = byte_range(wanted, size)
    except RangeNotSatisfiable:
        detail = f"expected a range within {size} bytes, got one that begins after them"
        raise HTTPException(416, detail, headers | {"content-range": f"bytes */{size}"}) from None
    start, stop = part or Slice(0, size)
    headers["content-length"] = str(stop - start)
    if part:
        headers["content-range"] = f"bytes {start}-{stop - 1}/{size}"
    if request.method == "HEAD":
        return Response(status_code=200, headers=headers, media_type=NPY)
    content = await run_in_threadpool(open_bytes, start, stop)
    return StreamingResponse(content, 206 if part else 200, headers, media_type=NPY)
