"""Results: one as JSON or npy, several as npy files one after another."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import partial

import numpy as np
from fastapi import APIRouter
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from broker.records import Record
from mercer.arrays import to_npy
from mercer.errors import FieldError, MercerError, NoResult, NotFinished
from mercer.jobs import State
from service.bodies import read_model
from service.byte_responses import NPY, not_modified, npy_file
from service.documented import body_of, content, problems
from service.headers import choose
from service.jobs import Ids, known, known_all
from service.long_bodies import MAX_JSON_BYTES
from service.parts import Parts, PartsDep
from service.principals import PrincipalDep, principal_of
from service.records import StoredResult, done, stored_of
from service.result_json import pieces_of_json
from store.results import Results

JSON = "application/json"
NPY_SEQUENCE = "application/x-npy-sequence"

PIECE_BYTES = 2**20
"""Sent at a time: each costs a hop to a thread, about 0.1 ms."""

router = APIRouter(prefix="/v1", tags=["results"])
front = APIRouter(prefix="/v1", tags=["results"])


@router.get(
    "/jobs/{job_id}/result",
    response_class=Response,
    responses={
        200: content("Result", "The numbers; in JSON null stands for NaN and the infinities.", NPY),
        206: content(None, "The range of the npy file that was asked for.", NPY),
        **problems(404, 406, 409, 416, 503),
    },
)
async def show_result(job_id: str, request: Request, parts: PartsDep, principal: PrincipalDep) -> Response:
    """The result of a succeeded job, JSON or npy as Accept asks; npy has ranges."""
    stored = stored_result(await known(parts, principal, job_id))
    media_type = choose(request.headers.get("accept"), (JSON, NPY))
    etag = f'"{job_id}-{"npy" if media_type == NPY else "json"}"'
    if answer := not_modified(request, etag):
        return answer
    if media_type == NPY:
        return await npy_file(request, partial(opened, parts.results, stored), stored.size_bytes, etag)
    rows = await run_in_threadpool(opened, parts.results, stored, 0, stored.size_bytes)
    headers = {"etag": etag, "vary": "accept"}
    return StreamingResponse(pieces_of_json(stored, rows), 200, headers, media_type=JSON)


@front.post(
    "/jobs/results",
    response_class=Response,
    responses={
        200: content(None, "npy files one after another, in the order of the ids.", NPY_SEQUENCE),
        **problems(400, 404, 409, 413, 415, 422, 503),
    },
    openapi_extra=body_of("Ids"),
)
async def show_results(request: Request) -> Response:
    """The results of succeeded jobs as npy files one after another; np.load reads them in turn."""
    parts: Parts = request.app.state.parts
    wanted = await read_model(request, Ids, MAX_JSON_BYTES)
    several = _all_stored(await known_all(parts, principal_of(request), wanted.ids))
    pieces = await run_in_threadpool(_opened_all, parts.results, several)
    headers = {"content-length": str(sum(stored.size_bytes for stored in several))}
    return StreamingResponse(pieces, 200, headers, media_type=NPY_SEQUENCE)


def stored_result(record: Record) -> StoredResult:
    """Where the result of a succeeded job is.

    Raises:
        NotFinished: it has none yet.
        NoResult: it ended without one.
    """
    if not done(record):
        raise NotFinished(f"expected a finished job, got one that is {record.state}; GET /v1/jobs/{record.id}?wait=30")
    if record.state != State.SUCCEEDED:
        raise NoResult(f"the job is {record.state}; GET /v1/jobs/{record.id} says why")
    return stored_of(record)


def _all_stored(records: list[Record]) -> list[StoredResult]:
    several = []
    for index, record in enumerate(records):
        try:
            several.append(stored_result(record))
        except MercerError as error:
            raise type(error)(error.detail, errors=(FieldError(f"/ids/{index}", error.detail),)) from None
    return several


def opened(results: Results, stored: StoredResult, start: int, stop: int) -> Iterator[bytes]:
    """Bytes start to stop of the npy file, from the store or made of the numbers in the record."""
    if stored.object is None:
        return iter([_made(stored)[start:stop]])
    return results.read(stored.object, stored.offset, stored.size_bytes, start, stop)


def _made(stored: StoredResult) -> bytes:
    return to_npy(np.array(stored.value, dtype=stored.dtype).reshape(stored.shape))


def _opened_all(results: Results, several: list[StoredResult]) -> Iterator[bytes]:
    """All of them in larger pieces; the first is read before the answer begins, so that what is gone is an error."""
    pieces = _gathered(_each(results, several))
    first = next(pieces, b"")

    def rest() -> Iterator[bytes]:
        yield first
        yield from pieces

    return rest()


def _each(results: Results, several: Iterable[StoredResult]) -> Iterator[bytes]:
    for first, length in _runs(several):
        if first.object is None:
            yield _made(first)
        else:
            yield from results.read(first.object, first.offset, length)


def _runs(several: Iterable[StoredResult]) -> Iterator[tuple[StoredResult, int]]:
    """What a batch wrote one after another, and is asked for in that order, is read as one: its first, its length."""
    first, length = None, 0
    for stored in several:
        if first is not None and stored.object == first.object and stored.offset == first.offset + length:
            length += stored.size_bytes
            continue
        if first is not None:
            yield first, length
        first, length = stored, stored.size_bytes
    if first is not None:
        yield first, length


def _gathered(chunks: Iterator[bytes]) -> Iterator[bytes]:
    held: list[bytes] = []
    held_bytes = 0
    for chunk in chunks:
        if held and held_bytes + len(chunk) > PIECE_BYTES:
            yield b"".join(held)
            held, held_bytes = [], 0
        held.append(chunk)
        held_bytes += len(chunk)
    if held:
        yield b"".join(held)
