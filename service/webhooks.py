"""Webhooks: registered, looked at, changed, tested and removed; service/sending.py delivers to them."""

from __future__ import annotations

import time
from collections.abc import Callable
from secrets import token_hex
from typing import Any, TypeVar

from fastapi import APIRouter
from pydantic import BaseModel
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from mercer.errors import FieldError, InvalidSpec, InvalidWebhook, QueueFull, UnknownWebhook, WebhookDisabled
from mercer.webhooks import TEST_EVENT, Delivery, NewWebhook, Rotation, Webhook, WebhookChange
from service.bodies import read_model
from service.documented import body_of, problems
from service.egress import Refused
from service.json_answers import JsonAnswer
from service.parts import Parts, PartsDep
from service.principals import Principal, PrincipalDep
from service.sending import tell
from service.webhook_messages import new_secret
from service.webhook_records import delivery_of, webhook_of
from store.webhooks import Disabled, Registration, Secret

MAX_WEBHOOKS = 20
"""Of one tenant: each event of its jobs is queued once for each of them."""

MAX_SECRETS = 5
"""That sign at once: a rotation that is sent again because its answer was lost must not end the secret in use."""

MAX_BODY_BYTES = 2**14
FULL_RETRY_S = 60

M = TypeVar("M", bound=BaseModel)

EXAMPLES: dict[str, Any] = {
    "all events": {"url": "https://example.com/hook"},
    "some events": {"url": "https://example.com/hook", "events": ["job.failed", "job.dead", "batch.completed"]},
}

router = APIRouter(prefix="/v1/webhooks", tags=["webhooks"])


class Webhooks(BaseModel):
    """All webhooks of a tenant, the oldest first."""

    webhooks: list[Webhook]


@router.post(
    "",
    status_code=201,
    response_model=Webhook,
    responses=problems(400, 413, 415, 422, 503),
    openapi_extra=body_of("NewWebhook", EXAMPLES),
)
async def register(request: Request, parts: PartsDep, principal: PrincipalDep) -> Response:
    """Register a webhook; the answer has its secret, which is never shown again."""
    new = await _read(request, NewWebhook)
    await _check_address(parts, new.url)
    registration = Registration(
        id=f"we_{token_hex(16)}",
        tenant=principal.tenant,
        url=new.url,
        events=tuple(new.events),
        secrets=(Secret(value=new_secret()),),
        created_s=time.time(),
    )
    await _check_place(parts, registration)
    await run_in_threadpool(parts.registrations.add, registration)
    return await _answer(parts, registration, 201, secret=True)


@router.get("", response_model=Webhooks, responses=problems(503))
async def list_webhooks(parts: PartsDep, principal: PrincipalDep) -> Response:
    """List the webhooks, the oldest first."""
    found = await run_in_threadpool(parts.registrations.of, principal.tenant)
    shown = Webhooks(webhooks=[webhook_of(one, await parts.broker.webhooks.state(one.id)) for one in found])
    return _json(shown, 200)


@router.get("/{webhook_id}", response_model=Webhook, responses=problems(404, 503))
async def show(webhook_id: str, parts: PartsDep, principal: PrincipalDep) -> Response:
    """Show a webhook with its last deliveries."""
    registration = await _known(parts, principal, webhook_id)
    return _json(webhook_of(registration, await parts.broker.webhooks.state(webhook_id), deliveries=True), 200)


@router.patch(
    "/{webhook_id}",
    response_model=Webhook,
    responses=problems(400, 404, 413, 415, 422, 503),
    openapi_extra=body_of("WebhookChange", {"enable again": {"enabled": True}}),
)
async def update(webhook_id: str, request: Request, parts: PartsDep, principal: PrincipalDep) -> Response:
    """Change which events it takes, disable it, or enable it again."""
    change = await _read(request, WebhookChange)

    def changed(current: Registration) -> Registration:
        events = current.events if change.events is None else tuple(dict.fromkeys(change.events))
        return current.model_copy(update={"events": events, "disabled": _disabled(current, change.enabled)})

    return await _change(parts, principal, webhook_id, changed)


@router.post(
    "/{webhook_id}/rotate",
    response_model=Webhook,
    responses=problems(400, 404, 413, 415, 422, 503),
    openapi_extra=body_of("Rotation", {"for a day both": {"overlap_s": 86_400}}),
)
async def rotate(webhook_id: str, request: Request, parts: PartsDep, principal: PrincipalDep) -> Response:
    """Give it a new secret, shown this once; the old one signs too for a while, so that no message is refused."""
    rotation, secret = await _read(request, Rotation), Secret(value=new_secret())

    def changed(current: Registration) -> Registration:
        return current.model_copy(update={"secrets": rotated(current.secrets, secret, rotation.overlap_s, time.time())})

    return await _change(parts, principal, webhook_id, changed, secret=True)


@router.post("/{webhook_id}/test", status_code=202, response_model=Delivery, responses=problems(404, 409, 429, 503))
async def test(webhook_id: str, parts: PartsDep, principal: PrincipalDep) -> Response:
    """Send it an event `webhook.test`, once; the webhook's deliveries show what came of it."""
    registration = await _known(parts, principal, webhook_id)
    if registration.disabled:
        raise WebhookDisabled(f"expected a webhook that is enabled; this one is not: {registration.disabled.reason}")
    message = await parts.broker.webhooks.test(webhook_id, TEST_EVENT, "webhook")
    if message is None:
        raise QueueFull("too many deliveries wait for this webhook already", retry_after_s=FULL_RETRY_S)
    parts.sender.wake()
    return _json(delivery_of(message), 202)


@router.delete("/{webhook_id}", status_code=204, responses=problems(404, 503))
async def remove(webhook_id: str, parts: PartsDep, principal: PrincipalDep) -> None:
    """Forget a webhook and its secret; what waits for it is not delivered."""
    await _known(parts, principal, webhook_id)
    await run_in_threadpool(parts.registrations.delete, principal.tenant, webhook_id)
    await parts.broker.webhooks.remove(webhook_id, principal.tenant)


def rotated(secrets: tuple[Secret, ...], new: Secret, overlap_s: int, now_s: float) -> tuple[Secret, ...]:
    """The new secret and those that stay valid for a while; with no overlap it alone."""
    until = now_s + overlap_s
    kept = [one for one in secrets if one.expires_s is None or one.expires_s > now_s] if overlap_s else []
    old = [one.model_copy(update={"expires_s": min(one.expires_s or until, until)}) for one in kept]
    return (new, *old)[:MAX_SECRETS]


def _disabled(current: Registration, enabled: bool | None) -> Disabled | None:
    if enabled is None:
        return current.disabled
    if enabled:
        return None
    return current.disabled or Disabled(reason="it was disabled by its owner", at_s=time.time())


async def _read(request: Request, model: type[M]) -> M:
    try:
        return await read_model(request, model, MAX_BODY_BYTES)
    except InvalidSpec as error:
        raise InvalidWebhook(error.detail, errors=error.errors) from None


async def _check_address(parts: Parts, url: str) -> None:
    """Refuse early what every delivery would refuse."""
    guard = parts.sender.egress.guard
    try:
        target = guard.target(url)
        await guard.addresses(target.host, target.port)
    except Refused as error:
        raise InvalidWebhook("1 field is not valid.", errors=(FieldError("/url", str(error)),)) from None


async def _check_place(parts: Parts, new: Registration) -> None:
    found = await run_in_threadpool(parts.registrations.of, new.tenant)
    if len(found) >= MAX_WEBHOOKS:
        raise InvalidWebhook(f"expected at most {MAX_WEBHOOKS} webhooks; remove one first")
    for one in found:
        if one.url == new.url:
            taken = FieldError("/url", f"expected an address that no webhook has yet, got that of {one.id}")
            raise InvalidWebhook("1 field is not valid.", errors=(taken,))


async def _known(parts: Parts, principal: Principal, webhook_id: str) -> Registration:
    valid = webhook_id.isascii() and webhook_id.replace("_", "").isalnum()
    found = await run_in_threadpool(parts.registrations.newest, principal.tenant, webhook_id) if valid else None
    if found is None:
        raise _unknown(webhook_id)
    return found


def _unknown(webhook_id: str) -> UnknownWebhook:
    return UnknownWebhook(f"no webhook {webhook_id[:64]}: expected the id of one of GET /v1/webhooks")


async def _change(
    parts: Parts,
    principal: Principal,
    webhook_id: str,
    changed: Callable[[Registration], Registration],
    *,
    secret: bool = False,
) -> Response:
    await _known(parts, principal, webhook_id)
    registration = await run_in_threadpool(parts.registrations.change, principal.tenant, webhook_id, changed)
    if registration is None:  # removed meanwhile
        raise _unknown(webhook_id)
    return await _answer(parts, registration, 200, secret=secret)


async def _answer(parts: Parts, registration: Registration, status: int, *, secret: bool) -> Response:
    """Tell the queue of a registration, and the client what it is now."""
    await tell(parts.broker.webhooks, parts.registrations, registration)
    state = await parts.broker.webhooks.state(registration.id)
    shown = webhook_of(registration, state, secret=registration.secrets[0].value if secret else None)
    return _json(shown, status, {"location": f"/v1/webhooks/{registration.id}"} if status == 201 else {})


def _json(model: BaseModel, status: int, headers: dict[str, str] | None = None) -> Response:
    body = model.model_dump_json(exclude_none=True).encode()
    return JsonAnswer(body, status, {"cache-control": "no-store", **(headers or {})})
