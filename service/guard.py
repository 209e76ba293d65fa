"""The first thing that a request meets where keys are asked for: who asks? Without an answer it goes no further."""

from __future__ import annotations

from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from mercer.errors import MercerError
from service.keyring import Keyring
from service.principals import Principal
from service.problems import answer_to
from service.rates import RateLimits
from service.scopes import OPEN_PATHS

NOBODY = Principal("", "", frozenset())
"""Who asks for what is open to all."""


class Guard:
    """ASGI middleware that lets nothing pass without a valid key but what is open to all.

    Args:
        app: What is behind.
        keyring: Knows the keys.
        rates: What each of them may send.
    """

    def __init__(self, app: ASGIApp, keyring: Keyring, rates: RateLimits) -> None:
        self._app = app
        self._keyring = keyring
        self._rates = rates

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        try:
            scope["principal"] = await self._principal(scope)
        except MercerError as error:
            await answer_to(Request(scope), error)(scope, receive, send)
            return
        await self._app(scope, receive, send)

    async def _principal(self, scope: Scope) -> Principal:
        if scope["path"] in OPEN_PATHS:
            return NOBODY
        sent = next((value for name, value in scope["headers"] if name == b"authorization"), b"")
        principal = await self._keyring.principal(sent.decode("latin-1"))
        await self._rates.spend(principal.key or "")
        return principal
