"""Data sets: uploaded by digest in a stream, read back as npy."""

from __future__ import annotations

import re
from contextlib import AbstractContextManager
from functools import partial
from typing import Any

from fastapi import APIRouter
from fastapi.concurrency import contextmanager_in_threadpool
from pydantic import BaseModel
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from mercer.errors import InvalidRequest, TooLarge, UnknownDataset, UnsupportedFormat
from mercer.jobs import Dataset
from service.bodies import declared_bytes, large_pieces
from service.byte_responses import NPY, not_modified, npy_file
from service.documented import problems
from service.headers import Fields
from service.json_answers import JsonAnswer
from service.parts import Parts, PartsDep
from service.principals import PrincipalDep
from service.quota import Incoming
from store.uploads import Format, KnownUpload, Upload

FORMATS: dict[str, Format] = {NPY: "npy", "text/csv": "csv", "application/vnd.apache.parquet": "parquet"}

_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")

UPLOAD: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {media_type: {"schema": {"type": "string", "format": "binary"}} for media_type in FORMATS},
    }
}
FILE: dict[str, Any] = {"content": {NPY: {"schema": {"type": "string", "format": "binary"}}}}

router = APIRouter(prefix="/v1/datasets", tags=["datasets"])


class DatasetList(BaseModel):
    """Every data set, newest first."""

    datasets: list[Dataset]


@router.get("")
async def list_datasets(parts: PartsDep, principal: PrincipalDep) -> DatasetList:
    """List the data sets, newest first."""
    return DatasetList(datasets=await run_in_threadpool(parts.datasets.of(principal.tenant).list))


@router.put(
    "/{digest}",
    status_code=201,
    response_model=Dataset,
    responses={
        200: {"model": Dataset, "description": "It was known already."},
        **problems(400, 408, 413, 415, 422, 503),
    },
    openapi_extra=UPLOAD,
)
async def upload(digest: str, request: Request, parts: PartsDep, principal: PrincipalDep) -> Response:
    """Upload npy, CSV or Parquet under the SHA-256 of its bytes; what is known already moves no bytes."""
    check_digest(digest)
    format = format_of(request)
    datasets = parts.datasets.of(principal.tenant)
    known = await parts.threads.run(datasets.info, digest)
    if known is not None:
        return _answer(known, 200)
    return _answer(await _admit(parts, principal.tenant, digest, format, request), 201)


async def _admit(parts: Parts, tenant: str, digest: str, format: Format, request: Request) -> Dataset:
    """Receive it within what the tenant may still store."""
    limit = parts.settings.max_upload_bytes
    declared = declared_bytes(Fields(request.scope), limit, 0)
    async with parts.quota.incoming(tenant, declared) as incoming:
        room = limit if incoming is None else min(limit, incoming.room)
        datasets = parts.datasets.of(tenant, room)
        try:
            dataset = await receive(parts, datasets.upload(digest, format), format, request, incoming)
        except TooLarge:
            if incoming is not None and room < limit:
                raise incoming.exceeded() from None
            raise
        if incoming is not None:
            incoming.stored(dataset.size_bytes)
        return dataset


async def receive(
    parts: Parts,
    upload: AbstractContextManager[Upload | KnownUpload],
    format: Format,
    request: Request,
    incoming: Incoming | None = None,
) -> Dataset:
    """Stream the body into the store, one piece in memory at a time, in threads: hashing and disks block."""
    async with contextmanager_in_threadpool(upload) as target:
        async for piece in large_pieces(request, parts.settings.max_upload_bytes):
            if incoming is not None:
                incoming.take(len(piece))
            await parts.threads.run(target.write, piece)
        if format == "npy":
            return await parts.threads.run(target.commit)
        async with parts.conversions:
            return await run_in_threadpool(target.commit)


@router.get("/{digest}", response_class=Response, responses={200: FILE, 206: FILE, **problems(400, 404, 416)})
@router.head("/{digest}", response_class=Response, responses=problems(400, 404))
async def download(digest: str, request: Request, parts: PartsDep, principal: PrincipalDep) -> Response:
    """The data set as npy, whole or a range; HEAD says whether it is there."""
    check_digest(digest)
    datasets = parts.datasets.of(principal.tenant)
    dataset = await run_in_threadpool(datasets.info, digest)
    if dataset is None:
        raise UnknownDataset(f"no data set {digest} has been uploaded")
    etag = f'"{digest}"'
    if answer := not_modified(request, etag):
        return answer
    return await npy_file(request, partial(datasets.read, digest), dataset.size_bytes, etag)


@router.delete("/{digest}", status_code=204, responses=problems(400, 404))
async def delete(digest: str, parts: PartsDep, principal: PrincipalDep) -> None:
    """Delete a data set; jobs that read it now read on, jobs that wait for it will fail."""
    check_digest(digest)
    if not await run_in_threadpool(parts.datasets.of(principal.tenant).delete, digest):
        raise UnknownDataset(f"no data set {digest} has been uploaded")
    parts.quota.forget(principal.tenant)


def format_of(request: Request) -> Format:
    """What the Content-Type of an upload says.

    Raises:
        UnsupportedFormat: nothing that can be read.
    """
    content_type = (Fields(request.scope).get("content-type") or "").split(";")[0].strip().lower()
    if (format := FORMATS.get(content_type)) is None:
        raise UnsupportedFormat(f"expected Content-Type {', '.join(FORMATS)}, got {content_type[:80] or 'none'}")
    return format


def check_digest(digest: str) -> None:
    """See that it can be one.

    Raises:
        InvalidRequest: it cannot.
    """
    if not _DIGEST.fullmatch(digest):
        raise InvalidRequest(f"expected sha256: and 64 lower-case hex digits in the address, got {digest[:80]}")


def _answer(dataset: Dataset, status: int) -> Response:
    return JsonAnswer(dataset.model_dump_json(exclude_none=True).encode(), status)
