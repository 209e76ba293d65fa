"""API keys: created, listed and revoked by who has the scope keys:admin, for their own tenant; by root for all."""

from __future__ import annotations

import logging
from datetime import UTC, datetime

from fastapi import APIRouter
from pydantic import BaseModel
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from mercer.errors import FieldError, Forbidden, InvalidSpec, UnknownKey
from mercer.keys import ApiKey, CreatedKey, NewKey
from service.bodies import read_model
from service.documented import body_of, content, problems
from service.json_answers import JsonAnswer
from service.long_bodies import MAX_JSON_BYTES
from service.parts import Parts, PartsDep
from service.principals import Principal, PrincipalDep

router = APIRouter(prefix="/v1/keys", tags=["keys"])

log = logging.getLogger("mercer.service")


class KeyList(BaseModel):
    """Keys, the newest first."""

    keys: list[ApiKey]


@router.post(
    "",
    status_code=201,
    response_class=Response,
    responses={201: content("CreatedKey", "The key, shown this once."), **problems(400, 408, 413, 415, 422, 503)},
    openapi_extra=body_of("NewKey"),
)
async def create(request: Request, parts: PartsDep, principal: PrincipalDep) -> Response:
    """Create a key, with no scope that this one has not; for another tenant only with the root key."""
    wanted = await read_model(request, NewKey, MAX_JSON_BYTES)
    tenant = wanted.tenant or principal.tenant
    _check(wanted, tenant, principal)
    made = await run_in_threadpool(parts.keys.create, wanted.name, tenant, wanted.scopes, wanted.expires_at)
    log.info("key %s of tenant %s was created with key %s", made.id, tenant, principal.key)
    headers = {"cache-control": "no-store"}
    return JsonAnswer(_json(made), 201, headers)


def _check(wanted: NewKey, tenant: str, principal: Principal) -> None:
    if tenant != principal.tenant and not principal.root:
        raise Forbidden(f"expected the root key for another tenant than {principal.tenant}, got a key of that tenant")
    if more := wanted.scopes - principal.scopes:
        raise Forbidden(f"expected scopes of your own key, got {', '.join(sorted(more))} beside them")
    if wanted.expires_at is not None and wanted.expires_at <= datetime.now(UTC):
        detail = "expected a time that is to come, got one that has passed"
        raise InvalidSpec(detail, errors=(FieldError("/expires_at", detail),))


@router.get("", response_model_exclude_none=True, responses=problems(503))
async def list_keys(parts: PartsDep, principal: PrincipalDep) -> KeyList:
    """List the keys of the tenant, the newest first; with the root key those of all tenants."""
    return KeyList(keys=await _seen(parts, principal))


@router.delete("/{key_id}", status_code=204, responses=problems(404, 503))
async def revoke(key_id: str, parts: PartsDep, principal: PrincipalDep) -> None:
    """Revoke a key: refused at once by this process, within 5 s by all others."""
    # Looked for among all, so that a foreign key takes as long as one that is not there.
    key = next((key for key in await _seen(parts, principal) if key.id == key_id), None)
    if key is None:
        raise UnknownKey(f"no key {key_id[:64]}: expected the id of a key that was not revoked")
    await run_in_threadpool(parts.keys.revoke, key_id)
    if parts.keyring is not None:
        parts.keyring.forget(key_id)
    log.info("key %s of tenant %s was revoked with key %s", key_id, key.tenant, principal.key)


async def _seen(parts: Parts, principal: Principal) -> list[ApiKey]:
    keys = await run_in_threadpool(parts.keys.list)
    return [key for key in keys if principal.root or key.tenant == principal.tenant]


def _json(key: CreatedKey) -> bytes:
    return key.model_dump_json(exclude_none=True).encode()
