"""What each route needs: the one table of who may do what. A route that it lacks keeps the service from starting."""

from __future__ import annotations

from collections.abc import Iterable
from enum import Enum
from typing import TypeAlias

from fastapi.routing import APIRoute
from starlette.routing import BaseRoute
from starlette.types import ASGIApp, Receive, Send
from starlette.types import Scope as Connection

from mercer.errors import Forbidden
from mercer.keys import Scope
from service.principals import EVERYBODY, Principal


class Open(Enum):
    """Routes that need no scope."""

    TO_ALL = "no key is asked for"
    TO_EVERY_KEY = "any valid key will do"


Need: TypeAlias = Scope | Open

NEEDS: dict[str, Need] = {
    "POST /v1/jobs": Scope.JOBS_WRITE,
    "GET /v1/jobs": Scope.JOBS_READ,
    "POST /v1/jobs/wait": Scope.JOBS_READ,
    "POST /v1/jobs/results": Scope.JOBS_READ,
    "GET /v1/jobs/{job_id}": Scope.JOBS_READ,
    "GET /v1/jobs/{job_id}/result": Scope.JOBS_READ,
    "GET /v1/jobs/{job_id}/events": Scope.JOBS_READ,
    "POST /v1/jobs/{job_id}/cancel": Scope.JOBS_WRITE,
    "POST /v1/jobs/{job_id}/retry": Scope.JOBS_WRITE,
    "POST /v1/jobs/retry-dead": Scope.JOBS_WRITE,
    "GET /v1/workers": Scope.JOBS_READ,
    "POST /v1/batches": Scope.JOBS_WRITE,
    "GET /v1/batches": Scope.JOBS_READ,
    "GET /v1/batches/{batch_id}": Scope.JOBS_READ,
    "GET /v1/batches/{batch_id}/output": Scope.JOBS_READ,
    "GET /v1/batches/{batch_id}/errors": Scope.JOBS_READ,
    "POST /v1/batches/{batch_id}/cancel": Scope.JOBS_WRITE,
    "GET /v1/datasets": Scope.DATASETS_READ,
    "GET /v1/datasets/{digest}": Scope.DATASETS_READ,
    "HEAD /v1/datasets/{digest}": Scope.DATASETS_READ,
    "PUT /v1/datasets/{digest}": Scope.DATASETS_WRITE,
    "DELETE /v1/datasets/{digest}": Scope.DATASETS_WRITE,
    "POST /v1/plan": Scope.JOBS_WRITE,
    "POST /v1/private": Scope.PRIVATE_ADMIN,
    "PUT /v1/private/{name}/data": Scope.PRIVATE_ADMIN,
    "DELETE /v1/private/{name}": Scope.PRIVATE_ADMIN,
    "GET /v1/private": Scope.PRIVATE_READ,
    "GET /v1/private/{name}": Scope.PRIVATE_READ,
    "GET /v1/private/{name}/spent": Scope.PRIVATE_READ,
    "GET /v1/releases": Scope.PRIVATE_READ,
    "GET /v1/releases/{release_id}": Scope.PRIVATE_READ,
    "GET /v1/releases/{release_id}/vector": Scope.PRIVATE_READ,
    "POST /v1/webhooks": Scope.WEBHOOKS_ADMIN,
    "GET /v1/webhooks": Scope.WEBHOOKS_ADMIN,
    "GET /v1/webhooks/{webhook_id}": Scope.WEBHOOKS_ADMIN,
    "PATCH /v1/webhooks/{webhook_id}": Scope.WEBHOOKS_ADMIN,
    "POST /v1/webhooks/{webhook_id}/test": Scope.WEBHOOKS_ADMIN,
    "POST /v1/webhooks/{webhook_id}/rotate": Scope.WEBHOOKS_ADMIN,
    "DELETE /v1/webhooks/{webhook_id}": Scope.WEBHOOKS_ADMIN,
    "GET /v1/keys": Scope.KEYS_ADMIN,
    "POST /v1/keys": Scope.KEYS_ADMIN,
    "DELETE /v1/keys/{key_id}": Scope.KEYS_ADMIN,
    "GET /v1/kinds": Open.TO_EVERY_KEY,
    "GET /v1/kernels": Open.TO_EVERY_KEY,
    "GET /openapi.json": Open.TO_EVERY_KEY,
    "GET /livez": Open.TO_ALL,
    "GET /readyz": Open.TO_ALL,
    "GET /metrics": Open.TO_ALL,  # they name no tenant, key, job or data set
}

OPEN_PATHS = frozenset(route.split()[1] for route, need in NEEDS.items() if need is Open.TO_ALL)


def need_of(route: APIRoute) -> Need:
    """What a route needs.

    Raises:
        LookupError: the table does not say.
    """
    needs = {NEEDS.get(f"{method} {route.path}") for method in route.methods or ()}
    need = needs.pop() if len(needs) == 1 else None
    if need is None:
        raise LookupError(f"say in service/scopes.py what {route.methods} of {route.path} needs")
    return need


def check(connection: Connection, need: Need) -> None:
    """Let a request pass.

    Raises:
        Forbidden: its key lacks the scope.
    """
    principal: Principal = connection.get("principal", EVERYBODY)
    if isinstance(need, Scope) and need not in principal.scopes:
        raise Forbidden(f"expected a key with the scope {need}, got one without it")


class Checked:
    """A route behind its need."""

    def __init__(self, app: ASGIApp, need: Need) -> None:
        self._app = app
        self._need = need

    async def __call__(self, scope: Connection, receive: Receive, send: Send) -> None:
        """Serve one request."""
        check(scope, self._need)
        await self._app(scope, receive, send)


def protect(routes: Iterable[BaseRoute]) -> None:
    """Put every route behind what it needs; apps share them, so that some are already.

    Raises:
        LookupError: the table does not say what one needs.
    """
    for route in routes:
        if not isinstance(route, APIRoute):
            raise LookupError(f"nothing checks who asks for {route}")
        if not isinstance(route.app, Checked):
            route.app = Checked(route.app, need_of(route))
