"""Answers leave in one piece: uvicorn writes the head and the body apart, and each write of a short one costs 10 us."""

from __future__ import annotations

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

LARGE_BYTES = 2**16
"""A piece of this size is not copied to be joined to others."""


class CorkedTransport(asyncio.Transport):
    """Writes what is given to it in one turn of the event loop at the end of that turn.

    Args:
        transport: What it writes to.
    """

    def __init__(self, transport: asyncio.Transport) -> None:
        super().__init__()
        self._transport = transport
        self._held: list[bytes] = []

    def write(self, data: Any) -> None:
        """Send it soon, in order."""
        if len(data) >= LARGE_BYTES:
            self._flush()
            self._transport.write(data)
            return
        if not self._held:
            asyncio.get_running_loop().call_soon(self._flush)
        self._held.append(data)

    def close(self) -> None:
        """Send what is held, and hang up."""
        self._flush()
        self._transport.close()

    def abort(self) -> None:
        """Hang up at once."""
        self._held.clear()
        self._transport.abort()

    def is_closing(self) -> bool:
        """Whether it was closed."""
        return self._transport.is_closing()

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        """Of the connection."""
        return self._transport.get_extra_info(name, default)

    def pause_reading(self) -> None:
        """Leave what comes in the socket."""
        self._transport.pause_reading()

    def resume_reading(self) -> None:
        """Take it again."""
        self._transport.resume_reading()

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        """Give what comes to another one."""
        self._transport.set_protocol(protocol)

    def _flush(self) -> None:
        held, self._held = self._held, []
        if held and not self._transport.is_closing():
            self._transport.write(b"".join(held))


class CorkedProtocol(HttpToolsProtocol):
    """uvicorn's own HTTP/1.1 over a corked transport."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin."""
        super().connection_made(CorkedTransport(transport))
