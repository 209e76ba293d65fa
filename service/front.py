"""The way of many small requests: routes that read and answer raw bytes, found in a dictionary.

FastAPI documents them; going through its middleware and routing would cost them as much again as what they do.
"""

from __future__ import annotations

from collections.abc import Iterable

from fastapi.routing import APIRoute
from starlette.requests import Request
from starlette.routing import BaseRoute
from starlette.types import ASGIApp, Receive, Scope, Send

from service.problems import answer_to


class Front:
    """Serves some routes itself and leaves all other requests to the app behind it.

    Args:
        app: What is behind.
        routes: With fixed paths, and endpoints that take the request alone and answer a Response.
    """

    def __init__(self, app: ASGIApp, routes: Iterable[BaseRoute]) -> None:
        self._app = app
        self._routes = {
            (method, route.path): route
            for route in routes
            if isinstance(route, APIRoute)
            for method in route.methods or ()
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        route = self._routes.get((scope["method"], scope["path"])) if scope["type"] == "http" else None
        if route is None:
            await self._app(scope, receive, send)
            return
        scope["route"] = route
        request = Request(scope, receive, send)
        try:
            response = await route.endpoint(request)
        except Exception as error:  # noqa: BLE001 - each becomes a problem document
            response = answer_to(request, error)
        await response(scope, receive, send)
