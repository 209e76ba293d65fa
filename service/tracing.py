"""Spans of requests; in the way of them only where traces are taken."""

from __future__ import annotations

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from telemetry.tracing import Tracing


class TraceRequests:
    """ASGI middleware that traces every request but probes and scrapes, by the template of its route."""

    def __init__(self, app: ASGIApp, tracing: Tracing) -> None:
        self._app = app
        self._tracing = tracing

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request in a span."""
        if scope["type"] != "http" or not scope["path"].startswith("/v1/"):
            await self._app(scope, receive, send)
            return
        with self._tracing.request(scope["method"], Headers(scope=scope)) as seen:

            async def noting(message: Message) -> None:
                if message["type"] == "http.response.start":
                    seen["status"] = message["status"]
                await send(message)

            await self._app(scope, receive, noting)
            seen["route"] = getattr(scope.get("route"), "path", "unknown")
