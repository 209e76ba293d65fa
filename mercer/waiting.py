"""From admitted jobs to their results: long polls that outlast a restart of the service, and fetches in bulk."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from mercer.batches import BatchLine
from mercer.downloads import NPY_SEQUENCE, IntoArray, IntoArrays, IntoFile, Watch
from mercer.errors import JobCancelled, JobDead, JobExpired, JobFailed, MercerError, WaitTimeout, from_problem
from mercer.jobs import Job, Result, State
from mercer.retries import RESTART_PATIENCE_S, exchange
from mercer.specs import KINDS
from mercer.steps import Flow, Request, Together
from mercer.submitting import JSON_HEADERS, MAX_JOBS, JobList
from mercer.uploads import NPY

HOLD_S = 20.0
"""How long one request may wait: proxies commonly give up after 60 s."""
WATCHED_HOLD_S = 1.0
"""The same when somebody watches the progress."""
MANY = 16
"""Jobs that finished together: others are then likely to have finished before the results of these are here."""
MAX_BULK_RESULT_BYTES = 2**20
"""A larger result is worth its own request, and is fetched only when it is asked for."""
MAX_BULK_BYTES = 2**25
"""Of all results in one response: it is held in memory."""

ENDINGS: dict[State, type[JobFailed]] = {
    State.FAILED: JobFailed,
    State.CANCELLED: JobCancelled,
    State.EXPIRED: JobExpired,
    State.DEAD: JobDead,
}


class Tracked:
    """A job as the client last saw it."""

    def __init__(self, record: Job) -> None:
        self.record = record
        self.array: np.ndarray[Any, Any] | None = None
        """Its result, once it was fetched."""

    @property
    def id(self) -> str:
        """Of the job."""
        return self.record.id

    @property
    def kind(self) -> str:
        """Of its spec."""
        return self.record.kind

    @property
    def answer(self) -> Result | None:
        """What the service tells of its result."""
        return self.record.result


class Fetched:
    """A line of a batch's output, and its result once it was fetched."""

    def __init__(self, line: BatchLine) -> None:
        self.line = line
        self.id = line.job_id
        self.kind = line.kind
        self.answer = line.result
        self.array: np.ndarray[Any, Any] | None = None


H = TypeVar("H", Tracked, Fetched)


def fetch_job(job_id: str, *, hold_s: float = 0.0) -> Flow[Job]:
    """Its record now, or when it has finished, or after `hold_s` seconds."""
    params = {"wait": f"{hold_s:.3f}"} if hold_s else {}
    request = Request("GET", f"/v1/jobs/{job_id}", params=params, held_s=hold_s)
    reply = yield from exchange(request, patience_s=RESTART_PATIENCE_S if hold_s else 0.0)
    return Job.model_validate_json(reply.body)


def wait(job: Tracked, timeout_s: float | None, watch: Watch | None = None) -> Flow[Job]:
    """Wait until the job has finished.

    Raises:
        WaitTimeout: it had not after `timeout_s` seconds; it goes on.
    """
    until = math.inf if timeout_s is None else time.monotonic() + timeout_s
    while not job.record.done:
        if (left_s := until - time.monotonic()) <= 0:
            raise WaitTimeout(f"Job {job.record.id} is still {job.record.state} after {timeout_s:g} s; it goes on.")
        hold_s = min(left_s, WATCHED_HOLD_S if watch else HOLD_S)
        job.record = yield from fetch_job(job.record.id, hold_s=hold_s)
        if watch:
            watch(job.record.state, job.record.progress)
    return job.record


def result(job: Tracked, timeout_s: float | None, watch: Watch | None = None) -> Flow[Any]:
    """What the job's kind answers, when it has finished.

    Raises:
        JobFailed: or one of its kinds, with the reason.
        WaitTimeout: the job had not finished after `timeout_s` seconds; it goes on.
    """
    if job.array is None:
        job.array = inline(succeeded((yield from wait(job, timeout_s, watch))))
    if job.array is None:
        job.array = yield from fetch_array(job.id, watch)
    return answer_of(job.kind, job.answer, job.array)


def answer_of(kind: str | None, result: Result | None, array: np.ndarray[Any, Any]) -> Any:
    """What a kind of job makes of its array; the array itself where only a newer client knows the kind."""
    spec = KINDS.get(kind or "")
    return array if spec is None else spec.answer(array, result.facts if result else {})


def fetch_array(job_id: str, watch: Watch | None = None) -> Flow[np.ndarray[Any, Any]]:
    """The result of a job that succeeded."""
    into = IntoArray(watch)
    yield from exchange(_fetch(job_id, into), patience_s=RESTART_PATIENCE_S)
    return into.array()


def save(job: Tracked, path: Path, timeout_s: float | None, watch: Watch | None = None) -> Flow[Path]:
    """Stream the result into an npy file, which appears only when it is complete.

    Raises:
        JobFailed: or one of its kinds, with the reason.
        WaitTimeout: the job had not finished after `timeout_s` seconds; it goes on.
    """
    succeeded((yield from wait(job, timeout_s, watch)))
    into = IntoFile(path, watch)
    try:
        yield from exchange(_fetch(job.id, into), patience_s=RESTART_PATIENCE_S)
        return into.keep()
    finally:
        into.discard()


def _fetch(job_id: str, into: IntoArray | IntoFile) -> Request:
    return Request("GET", f"/v1/jobs/{job_id}/result", headers={"Accept": NPY}, sink=into.body)


def succeeded(record: Job) -> Result:
    """The result of a job that succeeded.

    Raises:
        JobFailed: or one of its kinds, with the reason that the record gives.
    """
    if record.result is not None:
        return record.result
    problem = from_problem(record.error or {"detail": f"The job was {record.state}."})
    ending = type(problem) if isinstance(problem, JobFailed) else ENDINGS.get(record.state, JobFailed)
    raise ending(f"{problem.detail} (job {record.id})", errors=problem.errors)


def inline(answer: Result) -> np.ndarray[Any, Any] | None:
    """The numbers that the record itself holds, if it does."""
    return None if answer.value is None else np.array(answer.value, dtype=answer.dtype).reshape(answer.shape)


def next_finished(pending: dict[str, Tracked], until: float) -> Flow[list[Tracked]]:
    """Wait until some of the jobs have finished, take them out of `pending`, and fetch their results if small.

    Raises:
        WaitTimeout: none had when the monotonic clock came to `until`; they go on.
    """
    done = [job for job in pending.values() if job.record.done]
    while not done:
        if time.monotonic() >= until:
            raise WaitTimeout(f"{len(pending)} jobs are still queued or running; they go on.")
        done = yield from _poll(pending, until)
    for job in done:
        del pending[job.record.id]
    if pending and len(done) >= MANY:
        # Who has ended meanwhile need not be waited for next time; an error comes again then.
        fetched, _ = yield Together(fetch_small(done), _poll(pending, time.monotonic()))
        if isinstance(fetched, MercerError):
            raise fetched
    else:
        yield from fetch_small(done)
    return done


def _poll(pending: dict[str, Tracked], until: float) -> Flow[list[Tracked]]:
    asked = list(pending)[:MAX_JOBS]
    hold_s = max(0.0, min(until - time.monotonic(), HOLD_S if len(asked) == len(pending) else WATCHED_HOLD_S))
    body = json.dumps({"ids": asked, "wait_s": hold_s}).encode()
    request = Request("POST", "/v1/jobs/wait", headers=JSON_HEADERS, body=body, held_s=hold_s)
    reply = yield from exchange(request, patience_s=RESTART_PATIENCE_S)
    done = []
    for record in JobList.model_validate_json(reply.body).jobs:
        pending[record.id].record = record
        done.append(pending[record.id])
    if not done:  # of more than MAX_JOBS jobs, the others' turn
        for job_id in asked:
            pending[job_id] = pending.pop(job_id)
    return done


def fetch_small(jobs: Iterable[H]) -> Flow[None]:
    """Fetch the results that are small, many in one response."""
    wanted = []
    for job in jobs:
        answer = job.answer
        if answer is not None and (array := inline(answer)) is not None:
            job.array = array
        elif answer is not None and answer.size_bytes <= MAX_BULK_RESULT_BYTES:
            wanted.append(job)
    for part in parts(wanted):
        yield from _fetch_together(part)


def parts(jobs: Sequence[H]) -> list[list[H]]:
    """The jobs in lists whose results fit one response."""
    lists: list[list[H]] = []
    size_bytes = 0
    for job in jobs:
        size_bytes += job.answer.size_bytes if job.answer else 0
        if not lists or size_bytes > MAX_BULK_BYTES or len(lists[-1]) == MAX_JOBS:
            lists.append([])
            size_bytes = job.answer.size_bytes if job.answer else 0
        lists[-1].append(job)
    return lists


def _fetch_together(jobs: list[H]) -> Flow[None]:
    """One response for all of them. If one has gone meanwhile, each is asked for alone and says so itself."""
    body = json.dumps({"ids": [job.id for job in jobs]}).encode()
    headers = {**JSON_HEADERS, "Accept": NPY_SEQUENCE}
    into = IntoArrays()
    request = Request("POST", "/v1/jobs/results", headers=headers, body=body, sink=into.body)
    try:
        yield from exchange(request, patience_s=RESTART_PATIENCE_S)
    except MercerError:
        return
    for job, array in zip(jobs, into.arrays(), strict=True):
        job.array = array


def retry_dead() -> Flow[int]:
    """Queue all dead jobs again; how many."""
    reply = yield from exchange(Request("POST", "/v1/jobs/retry-dead"))
    return int(json.loads(reply.body)["requeued"])


def change(job_id: str, action: str) -> Flow[Job]:
    """Cancel or retry; the record after it."""
    reply = yield from exchange(Request("POST", f"/v1/jobs/{job_id}/{action}"))
    return Job.model_validate_json(reply.body)


def list_jobs(state: State | str | None, limit: int) -> Flow[list[Job]]:
    """The newest first."""
    jobs: list[Job] = []
    params = {"state": State(state).value} if state else {}
    while len(jobs) < limit:
        params["limit"] = str(min(limit - len(jobs), 100))
        page = JobList.model_validate_json((yield from exchange(Request("GET", "/v1/jobs", params=params))).body)
        jobs.extend(page.jobs)
        if page.next is None:
            break
        params["cursor"] = page.next
    return jobs
