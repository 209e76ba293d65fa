"""Who a request comes from: routes ask here and nowhere else whose objects they may touch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends
from starlette.requests import Request

from mercer.keys import ALL_SCOPES, Scope
from mercer.tenants import DEFAULT_TENANT

ROOT = "root"
"""What the key of the environment is called; no other has such an id."""


@dataclass(frozen=True, slots=True)
class Principal:
    """Who asks."""

    tenant: str
    """Whose objects they see."""
    key: str | None
    """The id of their API key; None where none is asked for."""
    scopes: frozenset[Scope]

    @property
    def root(self) -> bool:
        """Whether they administer the keys of all tenants."""
        return self.key in (None, ROOT)


EVERYBODY = Principal(DEFAULT_TENANT, None, ALL_SCOPES)
"""Whoever reaches a service that asks for no keys."""


def principal_of(request: Request) -> Principal:
    """Who sent this request."""
    principal: Principal = request.scope.get("principal", EVERYBODY)
    return principal


async def _principal(request: Request) -> Principal:
    return principal_of(request)


PrincipalDep = Annotated[Principal, Depends(_principal)]
