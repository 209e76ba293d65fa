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
from service.scopes import check, need_of


class Front:
    """Serves some routes itself and leaves all other requests to the app behind it.

    Args:
        app: What is behind.
        routes: With fixed paths, and endpoints that take the request alone and answer a Response.
    """

    def __init__(self, app: ASGIApp, routes: Iterable[BaseRoute]) -> None:
        self._app = app
        self._routes = {
            (method, route.path): (route, need_of(route))
            for route in routes
            if isinstance(route, APIRoute)
            for method in route.methods or ()
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        found = self._routes.get((scope["method"], scope["path"])) if scope["type"] == "http" else None
        if found is None:
            await self._app(scope, receive, send)
            return
        route, need = found
        scope["route"] = route
        request = Request(scope, receive, send)
        try:
            check(scope, need)
            response = await route.endpoint(request)
        except Exception as error:  # noqa: BLE001 - each becomes a problem document
            response = answer_to(request, error)
        await response(scope, receive, send)
