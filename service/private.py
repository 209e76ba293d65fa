"""Private data sets: their terms, their data and what was spent on them; and the releases that were made of them."""

from __future__ import annotations

from functools import partial
from typing import Any

from fastapi import APIRouter
from fastapi.concurrency import contextmanager_in_threadpool
from pydantic import BaseModel
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from mercer.errors import Protected, UnknownDataset
from mercer.private import PrivateDataset, Protection, Spent
from service.bodies import large_pieces
from service.byte_responses import not_modified, npy_file
from service.datasets import FILE, UPLOAD, check_digest, format_of
from service.documented import problems
from service.parts import PartsDep
from service.principals import PrincipalDep
from service.spending import Spending
from store.ledger import Account, Entry
from store.ledger import Terms as Agreed
from store.private import PrivateDatasets

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


@router.post("/private", status_code=201, responses=problems(409, 422, 423, 503))
async def protect(wanted: Protection, parts: PartsDep, principal: PrincipalDep) -> PrivateDataset:
    """Set the terms of a private data set, once and for ever, before its bytes are uploaded; the same again is fine."""
    digest, terms = wanted.digest, wanted.terms

    def check_absent() -> None:
        if parts.datasets.of(principal.tenant).info(digest) is not None:
            raise Protected("These bytes are here as a data set that anybody may read: delete that one first.")

    def agree() -> PrivateDataset:
        private = parts.private.of(principal.tenant)
        check_absent()
        parts.spending.ledger().protect(principal.tenant, digest, agreed(wanted), principal.key or "")
        private.protect(digest, terms)
        # An upload that ended before the terms were there has seen none; one that ends from now on sees them.
        check_absent()
        return _shown(parts.spending, private, principal.tenant, digest)

    return await run_in_threadpool(agree)


def agreed(wanted: Protection) -> Agreed:
    """The terms as the ledger keeps them."""
    terms = wanted.terms
    domain = terms.model_dump_json(include={"domain", "max_records"})
    return Agreed(terms.budget, terms.neighbours.value, domain)


@router.put(
    "/private/{digest}/data",
    status_code=201,
    responses=problems(400, 404, 408, 413, 415, 422, 423, 503),
    openapi_extra=UPLOAD,
)
async def upload(digest: str, request: Request, parts: PartsDep, principal: PrincipalDep) -> PrivateDataset:
    """Upload the bytes of a private data set, npy, CSV or Parquet: nothing gives them back."""
    check_digest(digest)
    format = format_of(request)
    private = parts.private.of(principal.tenant)
    await run_in_threadpool(private.terms, digest)
    async with contextmanager_in_threadpool(private.data.upload(digest, format)) as target:
        async for piece in large_pieces(request, parts.settings.max_upload_bytes):
            await parts.threads.run(target.write, piece)
        async with parts.conversions:
            dataset = await run_in_threadpool(target.commit)
    try:
        private.check(digest, dataset)
    except Exception:
        await run_in_threadpool(private.data.delete, digest)
        raise
    return await run_in_threadpool(_shown, parts.spending, private, principal.tenant, digest)


@router.get("/private", responses=problems(423, 503))
async def list_private(parts: PartsDep, principal: PrincipalDep) -> PrivateList:
    """List the private data sets."""

    def shown() -> PrivateList:
        private = parts.private.of(principal.tenant)
        several = [_shown(parts.spending, private, principal.tenant, digest) for digest in private.list()]
        return PrivateList(private=several)

    return await run_in_threadpool(shown)


@router.get("/private/{digest}", responses=problems(400, 404, 423, 503))
async def show(digest: str, parts: PartsDep, principal: PrincipalDep) -> PrivateDataset:
    """The terms of a private data set, and what is left of its budget; nothing of its records."""
    check_digest(digest)
    private = parts.private.of(principal.tenant)
    return await run_in_threadpool(_shown, parts.spending, private, principal.tenant, digest)


@router.get("/private/{digest}/spent", responses=problems(400, 404, 503))
async def show_spent(digest: str, parts: PartsDep, principal: PrincipalDep) -> SpentList:
    """What was spent on it: when, by which API key, on which release."""
    check_digest(digest)

    def spent() -> list[Spent]:
        parts.private.of(principal.tenant).terms(digest)
        entries = parts.spending.ledger().entries(principal.tenant, digest)
        return [_spent(entry) for entry in entries if entry.release_id is not None]

    return SpentList(spent=await run_in_threadpool(spent))


@router.delete("/private/{digest}", status_code=204, responses=problems(400, 404, 503))
async def delete(digest: str, parts: PartsDep, principal: PrincipalDep) -> None:
    """Delete the data; the terms and what was spent stay, for the case that the same bytes come again."""
    check_digest(digest)
    if not await run_in_threadpool(parts.private.of(principal.tenant).data.delete, digest):
        raise UnknownDataset(f"no private data set {digest} has been uploaded")


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


def _shown(spending: Spending, private: PrivateDatasets, tenant: str, digest: str) -> PrivateDataset:
    terms = private.terms(digest)
    account = spending.ledger().account(tenant, digest)
    if account is None:
        raise UnknownDataset(f"No private data set {digest}: POST its terms to /v1/private first.")
    uploaded = private.data.info(digest) is not None
    return PrivateDataset(digest=digest, terms=terms, uploaded=uploaded, **_left(account))


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
