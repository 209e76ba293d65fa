"""Jobs: submitted, looked at, waited for, cancelled, tried again."""

from __future__ import annotations

from collections.abc import Collection
from typing import Annotated, Any

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response

from broker.records import Admitted, Record, Submission
from mercer.errors import FieldError, MercerError, NotRetryable, TooLarge, UnknownJob
from mercer.jobs import Job, State, Worker
from mercer.specs import KINDS
from service.admission import MAX_JOBS, Parsed, is_bulk, parse
from service.bodies import JsonBody, read_model
from service.documented import body_of, content, header, problems
from service.field_errors import MAX_ERRORS
from service.headers import MAX_WAIT_S, Fields, Options, Preference, idempotency_key, options, preference
from service.json_answers import JsonAnswer
from service.long_bodies import LONG_BYTES, MAX_BULK_BYTES, MAX_JSON_BYTES
from service.parts import Parts, PartsDep
from service.principals import Principal, PrincipalDep, principal_of
from service.records import RETRY_AFTER_S, done, job_json, jobs_json

RETRYABLE = frozenset({State.FAILED, State.CANCELLED, State.EXPIRED, State.DEAD})

JOBS = content("Jobs", "The jobs.")
SUBMITTED = {
    200: content("Job", "It was done within the time that Prefer: wait=N gave."),
    202: content("Job", "It is queued; several are answered as Jobs."),
    **problems(400, 408, 409, 413, 415, 422, 423, 429, 503),
}

EXAMPLES = {
    f"{name}_{index}": example for name, spec in KINDS.items() for index, example in enumerate(spec.examples, 1)
}

SUBMISSION: dict[str, Any] = body_of("Submission", EXAMPLES) | {
    "parameters": [
        header("Prefer", f"wait=N holds the answer for up to N seconds (at most {MAX_WAIT_S}) until the job is done."),
        header("Idempotency-Key", "The same key and the same jobs give the same jobs again; other jobs are refused."),
        header(
            "Job-Priority",
            "high, normal or low (normal is usual): which go first; the lowest that wait have a tenth of all.",
        ),
        header(
            "Cancel-After", "After so long, from 1s to 24h, such as 30s or 10m, a job that has not ended is stopped."
        ),
    ]
}

router = APIRouter(prefix="/v1", tags=["jobs"])
front = APIRouter(prefix="/v1", tags=["jobs"])


class Jobs(BaseModel):
    """Several jobs."""

    jobs: list[Job]
    next: str | None = Field(None, description="Cursor of the next page; absent on the last one.")


class Workers(BaseModel):
    """The workers that are alive."""

    workers: list[Worker]


class Requeued(BaseModel):
    """Dead jobs that wait again."""

    requeued: int = Field(description="How many.")


class Ids(BaseModel):
    """Which jobs."""

    model_config = ConfigDict(extra="forbid", strict=True)

    ids: Annotated[list[Annotated[str, Field(max_length=64)]], Field(min_length=1, max_length=MAX_JOBS, fail_fast=True)]


class WaitFor(Ids):
    """Which jobs to wait for, and for how long."""

    wait_s: Annotated[float, Field(ge=0, le=MAX_WAIT_S)] = MAX_WAIT_S


@front.post("/jobs", status_code=202, response_class=Response, responses=SUBMITTED, openapi_extra=SUBMISSION)
async def submit(request: Request) -> Response:
    """Queue one job, or up to 1,000 as {"jobs": [...]}, all or none."""
    parts: Parts = request.app.state.parts
    principal = principal_of(request)
    fields = Fields(request.scope)
    key = idempotency_key(fields.get("idempotency-key"))
    preferred = preference(fields.get("prefer"))
    asked = options(fields)
    async with JsonBody(request, MAX_BULK_BYTES) as body:
        bulk = is_bulk(body)
        if not bulk and len(body) > MAX_JSON_BYTES:
            raise TooLarge(f"expected a spec of at most {MAX_JSON_BYTES} bytes, got {len(body)}; upload its arrays")
        submissions = await _submissions(parts, principal, body, key, asked)
    try:
        admitted = await parts.door.admit(submissions)
    except MercerError as error:
        parts.metrics.refused(error, len(submissions))
        raise
    parts.metrics.count([one.kind for one in submissions], sum(one.replayed for one in admitted))
    if bulk:
        return JsonAnswer(jobs_json(await _queued(parts, principal, admitted)), 202, _replayed(admitted))
    return await _submitted(parts, principal, admitted[0], preferred)


async def _submissions(
    parts: Parts, principal: Principal, body: bytes, key: str | None, asked: Options
) -> list[Submission]:
    """Parse and check; in a thread when it is long or reads the store."""
    admission = parts.admission_of(principal.tenant)

    def settle(parsed: Parsed) -> list[Submission]:
        return parts.spending.settled(parsed.specs, admission.submissions(parsed, key, asked), principal)

    if len(body) > LONG_BYTES:
        return await run_in_threadpool(lambda: settle(parse(body)))
    checked = await parts.desk.check(admission, body, key, asked)
    if isinstance(checked, Parsed):
        return await run_in_threadpool(settle, checked)
    return checked


async def _queued(parts: Parts, principal: Principal, admitted: list[Admitted]) -> list[Record]:
    """Their records, asked for only where an earlier job is answered."""
    records = [one.record for one in admitted if one.record is not None]
    return records if len(records) == len(admitted) else await known_all(parts, principal, [one.id for one in admitted])


async def _submitted(parts: Parts, principal: Principal, admitted: Admitted, preferred: Preference) -> Response:
    """The answer for one job, held for as long as the client prefers."""
    record = admitted.record
    if preferred.wait_s:
        await parts.draining.wait(parts.broker.wait([admitted.id], preferred.wait_s, principal.tenant))
        record = None
    if record is None:
        record = await known(parts, principal, admitted.id)
    headers = {"location": f"/v1/jobs/{record.id}"} | _replayed([admitted])
    if preferred.applied:
        headers["preference-applied"] = preferred.applied
    return JsonAnswer(job_json(record), 200 if done(record) else 202, headers | _retry_after(record))


@router.get("/jobs", response_class=Response, responses={200: JOBS, **problems(400, 503)})
async def list_jobs(
    parts: PartsDep,
    principal: PrincipalDep,
    cursor: Annotated[
        str | None, Query(pattern=r"^[0-9]{1,19}-[0-9]{1,19}$", description="`next` of the page before.")
    ] = None,
    limit: Annotated[int, Query(ge=1, le=100)] = 20,
    state: Annotated[State | None, Query(description="Only jobs in this state.")] = None,
) -> Response:
    """List jobs, newest first."""
    records, following = await parts.broker.page(cursor, limit, state, principal.tenant)
    return JsonAnswer(jobs_json(records, following=following), 200)


@router.get("/jobs/{job_id}", response_model=Job, responses=problems(400, 404, 503))
async def show(
    job_id: str,
    parts: PartsDep,
    principal: PrincipalDep,
    wait: Annotated[
        float, Query(ge=0, le=MAX_WAIT_S, description="Hold the answer until the job is done, for so many seconds.")
    ] = 0,
) -> Response:
    """Show a job."""
    record = await known(parts, principal, job_id)
    if wait and not done(record):
        await parts.draining.wait(parts.broker.wait([job_id], wait, principal.tenant))
        record = await known(parts, principal, job_id)
    return JsonAnswer(job_json(record), 200, _retry_after(record))


@front.post(
    "/jobs/wait",
    response_class=Response,
    responses={200: JOBS, **problems(400, 404, 413, 415, 422, 503)},
    openapi_extra=body_of("WaitFor"),
)
async def wait_for(request: Request) -> Response:
    """Answer the jobs of these that are done, as soon as at least one is; none when the time is over."""
    parts: Parts = request.app.state.parts
    principal = principal_of(request)
    wanted = await read_model(request, WaitFor, MAX_JSON_BYTES)
    ended = await parts.draining.wait(parts.broker.wait(wanted.ids, wanted.wait_s, principal.tenant)) or set()
    return JsonAnswer(jobs_json(await known_all(parts, principal, wanted.ids, ended)), 200)


@router.post(
    "/jobs/{job_id}/cancel",
    response_model=Job,
    responses={202: {"model": Job, "description": "It runs; the worker stops it soon."}, **problems(404, 503)},
)
async def cancel(job_id: str, parts: PartsDep, principal: PrincipalDep) -> Response:
    """Cancel a job: at once while it is queued, between two tiles while it runs; a finished one stays as it is."""
    record = await parts.broker.cancel(job_id, principal.tenant)
    if record is None:
        raise unknown(job_id)
    return JsonAnswer(job_json(record), 200 if done(record) else 202, _retry_after(record))


@router.post("/jobs/{job_id}/retry", status_code=202, response_model=Job, responses=problems(404, 409, 429, 503))
async def retry(job_id: str, parts: PartsDep, principal: PrincipalDep) -> Response:
    """Queue a job again that failed, expired, died or was cancelled."""
    before = await known(parts, principal, job_id)
    record = None
    if before.state in RETRYABLE:
        record = await parts.broker.retry(job_id, principal.tenant)
    if record is None:
        raise NotRetryable(f"expected a job that is {', '.join(sorted(RETRYABLE))}, got one that is {before.state}")
    return JsonAnswer(job_json(record), 202, {"location": f"/v1/jobs/{job_id}"} | _retry_after(record))


@router.post("/jobs/retry-dead", status_code=202, responses=problems(503))
async def retry_dead(parts: PartsDep, principal: PrincipalDep) -> Requeued:
    """Queue all jobs again that were given up; GET /v1/jobs?state=dead lists them."""
    return Requeued(requeued=await parts.broker.retry_dead(principal.tenant))


@router.get("/workers", responses=problems(503))
async def list_workers(parts: PartsDep) -> Workers:
    """List the workers that are alive."""
    return Workers(workers=await parts.broker.workers())


async def known(parts: Parts, principal: Principal, job_id: str) -> Record:
    """The record of a job of theirs.

    Raises:
        UnknownJob: there is none.
    """
    record = await parts.broker.record(job_id, principal.tenant)
    if record is None:
        raise unknown(job_id)
    return record


def unknown(job_id: str) -> UnknownJob:
    """No record has this id."""
    return UnknownJob(f"no job {job_id[:64]}: expected the id of a job whose record has not passed its time to live")


async def known_all(
    parts: Parts, principal: Principal, ids: list[str], wanted: Collection[str] | None = None
) -> list[Record]:
    """The records of jobs of theirs, in order; only the wanted ones of a request's ids, if they are given.

    Raises:
        UnknownJob: naming those that have none.
    """
    places = [place for place, job_id in enumerate(ids) if wanted is None or job_id in wanted]
    records = await parts.broker.records([ids[place] for place in places], principal.tenant)
    found = [record for record in records if record is not None]
    if len(found) < len(records):
        gone = [place for place, record in zip(places, records, strict=True) if record is None]
        errors = tuple(FieldError(f"/ids/{place}", unknown(ids[place]).detail) for place in gone[:MAX_ERRORS])
        raise UnknownJob(f"{len(gone)} of the jobs are unknown", errors=errors)
    return found


def _retry_after(record: Record) -> dict[str, str]:
    return {} if done(record) else {"retry-after": str(RETRY_AFTER_S)}


def _replayed(admitted: list[Admitted]) -> dict[str, str]:
    return {"idempotent-replayed": "true"} if any(one.replayed for one in admitted) else {}
