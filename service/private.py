"""Private data sets: their terms, their data and what was spent on them; and the releases that were made of them."""

from __future__ import annotations

import re
from functools import partial
from secrets import token_hex
from typing import Any

from fastapi import APIRouter
from pydantic import BaseModel
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from mercer.errors import InvalidRequest, UnknownDataset
from mercer.privacy.terms import Terms
from mercer.private import NAME_BYTES, PrivateDataset, Protection, Spent
from service.byte_responses import not_modified, npy_file
from service.content_digest import PARAMETER, content_digest
from service.datasets import FILE, UPLOAD, format_of, receive
from service.documented import problems
from service.headers import Fields
from service.parts import PartsDep
from service.principals import PrincipalDep
from service.spending import Spending
from store.ledger import Account, Entry
from store.ledger import Terms as Agreed
from store.private import PrivateDatasets, check, counted_bytes

_NAME = re.compile(r"[0-9a-f]{32}")

router = APIRouter(prefix="/v1", tags=["private"])


class PrivateList(BaseModel):
    """Every private data set of the tenant."""

    private: list[PrivateDataset]


class SpentList(BaseModel):
    """What was spent on a private data set, the oldest first."""

    spent: list[Spent]


class ReleaseList(BaseModel):
    """The ids of releases."""

    releases: list[str]


@router.post("/private", status_code=201, responses=problems(400, 409, 423, 503))
async def protect(wanted: Protection, parts: PartsDep, principal: PrincipalDep) -> PrivateDataset:
    """Set the terms of a private data set, once and for ever, before its data are uploaded; the same again is fine."""
    name = wanted.name or token_hex(NAME_BYTES)

    def agree() -> PrivateDataset:
        private = parts.private.of(principal.tenant)
        parts.spending.ledger().protect(principal.tenant, name, agreed(wanted.terms), principal.key or "")
        private.protect(name, wanted.terms)
        return _shown(parts.spending, private, principal.tenant, name)

    return await run_in_threadpool(agree)


def agreed(terms: Terms) -> Agreed:
    """The terms as the ledger keeps them."""
    domain = terms.model_dump_json(include={"domain", "max_records"})
    return Agreed(terms.budget, terms.neighbours.value, domain)


@router.put(
    "/private/{name}/data",
    status_code=201,
    responses=problems(400, 404, 408, 413, 415, 422, 423, 503),
    openapi_extra=UPLOAD | {"parameters": [PARAMETER]},
)
async def upload(name: str, request: Request, parts: PartsDep, principal: PrincipalDep) -> PrivateDataset:
    """Upload the data, npy, CSV or Parquet, in place of what is there; nothing gives them back.

    They are compared with nothing that is there: the same again, as after a lost answer, is fine.
    """
    check_name(name)
    digest, format = content_digest(Fields(request.scope)), format_of(request)
    private = parts.private.of(principal.tenant)
    terms = await run_in_threadpool(private.terms, name)
    counted = 0 if await run_in_threadpool(private.data.is_here, name) else counted_bytes(terms)
    async with parts.quota.incoming(principal.tenant, counted) as incoming:
        await receive(parts, private.data.upload(name, digest, format, partial(check, terms)), format, request)
        if incoming is not None:
            incoming.stored(counted)
    return await run_in_threadpool(_shown, parts.spending, private, principal.tenant, name)


@router.get("/private", responses=problems(423, 503))
async def list_private(parts: PartsDep, principal: PrincipalDep) -> PrivateList:
    """List the private data sets."""

    def shown() -> PrivateList:
        private = parts.private.of(principal.tenant)
        several = [_shown(parts.spending, private, principal.tenant, name) for name in private.list()]
        return PrivateList(private=several)

    return await run_in_threadpool(shown)


@router.get("/private/{name}", responses=problems(400, 404, 423, 503))
async def show(name: str, parts: PartsDep, principal: PrincipalDep) -> PrivateDataset:
    """The terms of a private data set, and what is left of its budget; nothing of its records."""
    check_name(name)
    private = parts.private.of(principal.tenant)
    return await run_in_threadpool(_shown, parts.spending, private, principal.tenant, name)


@router.get("/private/{name}/spent", responses=problems(400, 404, 503))
async def show_spent(name: str, parts: PartsDep, principal: PrincipalDep) -> SpentList:
    """What was spent on it: when, by which API key, on which release."""
    check_name(name)

    def spent() -> list[Spent]:
        parts.private.of(principal.tenant).terms(name)
        entries = parts.spending.ledger().entries(principal.tenant, name)
        return [_spent(entry) for entry in entries if entry.release_id is not None]

    return SpentList(spent=await run_in_threadpool(spent))


@router.delete("/private/{name}", status_code=204, responses=problems(400, 404, 503))
async def delete(name: str, parts: PartsDep, principal: PrincipalDep) -> None:
    """Delete the data; the terms and what was spent stay, and the name is never given other terms."""
    check_name(name)
    if not await run_in_threadpool(parts.private.of(principal.tenant).data.delete, name):
        raise UnknownDataset(f"no data of {name} are here")
    parts.quota.forget(principal.tenant)


@router.get("/releases", responses=problems(503))
async def list_releases(parts: PartsDep, principal: PrincipalDep) -> ReleaseList:
    """List the releases that were made, in no order."""
    return ReleaseList(releases=await run_in_threadpool(parts.releases.of(principal.tenant).list))


@router.get("/releases/{release_id}", responses=problems(404, 503))
async def show_release(release_id: str, parts: PartsDep, principal: PrincipalDep) -> dict[str, Any]:
    """The public parameters of a release."""
    releases = parts.releases.of(principal.tenant)
    return (await run_in_threadpool(releases.known, release_id)).parameters


@router.get(
    "/releases/{release_id}/vector", response_class=Response, responses={200: FILE, 206: FILE, **problems(404, 416)}
)
async def download_release(release_id: str, request: Request, parts: PartsDep, principal: PrincipalDep) -> Response:
    """The numbers of a release as npy."""
    releases = parts.releases.of(principal.tenant)
    release = await run_in_threadpool(releases.known, release_id)
    etag = f'"{release_id}"'
    if answer := not_modified(request, etag):
        return answer
    return await npy_file(request, partial(releases.read, release), release.length, etag)


def check_name(name: str) -> None:
    """See that it can be one.

    Raises:
        InvalidRequest: it cannot.
    """
    if not _NAME.fullmatch(name):
        raise InvalidRequest(f"expected 32 lower-case hex digits in the address, got {name[:80]}")


def _shown(spending: Spending, private: PrivateDatasets, tenant: str, name: str) -> PrivateDataset:
    terms = private.terms(name)
    account = spending.ledger().account(tenant, name)
    if account is None:
        raise UnknownDataset(f"No private data set {name}: POST its terms to /v1/private first.")
    return PrivateDataset(name=name, terms=terms, uploaded=private.data.is_here(name), **_left(account))


def _left(account: Account) -> dict[str, Any]:
    budget, spent = account.terms.budget, account.spent
    delta = float(account.terms.budget.delta) * 1e-21
    return {
        "spent_epsilon": spent.epsilon_at(delta),
        "epsilon_left": float(budget.epsilon_left(spent)),
        "mu_left": budget.mu_left(spent),
        "releases": account.head_seq,
    }


def _spent(entry: Entry) -> Spent:
    return Spent(
        release=str(entry.release_id),
        kind=entry.kind,
        spender=entry.spender,
        time=entry.time,
        epsilon=entry.epsilon * 1e-6 if not entry.gaussians else None,
        mu=(entry.mu2 * 2.0**-40) ** 0.5,
    )
