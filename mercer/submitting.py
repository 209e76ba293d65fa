"""From specs to admitted jobs: large arrays are uploaded once and named by digest, then the specs are posted."""

from __future__ import annotations

import uuid
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from pydantic import BaseModel

from mercer.arrays import MAX_INLINE
from mercer.errors import FieldError, MercerError
from mercer.jobs import Dataset, Job, Priority
from mercer.points import DatasetReference, Rows
from mercer.retries import RESTART_PATIENCE_S, exchange
from mercer.specs import Spec
from mercer.steps import Chunks, Flow, Request, Together, Work
from mercer.uploads import Source, of_array

MAX_JOBS = 1_000
"""Named in one request; the service's bound."""
SUBMIT_JOBS = 192
"""Submitted in one request, three full batches: workers begin with them while the next are on their way. With their
arrays uploaded these are less than 64 kB, which the service parses at once; in a longer document it looks twice."""
MAX_BODY_BYTES = 8_000_000
"""Of one request; the service's bound is a little higher."""
MAX_HELD_BYTES = 64 * 2**20
"""Arrays held until they are uploaded: specs may come from a generator that reads files."""

MIN_STACKED = 8 * MAX_INLINE
"""Numbers in small arrays that are worth an upload of their own: written into each spec, they would be encoded and
parsed three times and pass through the queue."""

RUN_HOLD_S = 2
"""For how long a submission waits for its result; what takes longer is worth a second round trip and a progress bar."""

JSON_HEADERS = {"Content-Type": "application/json"}


class Options(NamedTuple):
    """How a submission is to be treated, whatever it computes."""

    cancel_after: str | None = None
    """Such as 30s, 10m or 2h."""
    priority: Priority | str | None = None
    """None is the usual one: normal for jobs, low for batches."""

    def headers(self) -> dict[str, str]:
        """For the request that submits."""
        given = {"Cancel-After": self.cancel_after, "Job-Priority": self.priority}
        return {name: str(value) for name, value in given.items() if value is not None}


PLAIN = Options()

ArrayKey: TypeAlias = tuple[Any, ...]
Uploaded: TypeAlias = dict[ArrayKey, tuple[np.ndarray[Any, Any], DatasetReference]]
"""By where the array lies in memory; the array is kept, so that nothing else can come to lie there."""


class Outgoing(NamedTuple):
    """A spec on its way, and its arrays, by field name, with where they lie in memory."""

    spec: Spec
    arrays: dict[str, tuple[ArrayKey, np.ndarray[Any, Any]]]


class JobList(BaseModel):
    """How the service lists jobs."""

    jobs: list[Job]
    next: str | None = None
    """Where the next page begins."""


def upload(source: Source) -> Flow[str]:
    """Make sure that the service has it; a known digest moves no bytes. Returns the digest."""
    digest = yield Work(source.digest)
    if not (yield from _known(digest)):
        yield from exchange(_put(digest, source, source.chunks))
    return digest


def upload_dataset(source: Source) -> Flow[Dataset]:
    """Upload, and return the record of it."""
    digest = yield Work(source.digest)
    # The answer to a known digest is its record, whatever the body.
    body = b"" if (yield from _known(digest)) else source.chunks
    reply = yield from exchange(_put(digest, source, body))
    return Dataset.model_validate_json(reply.body)


def _known(digest: str) -> Flow[bool]:
    reply = yield from exchange(Request("HEAD", f"/v1/datasets/{digest}"), accept=(404,))
    return reply.status != 404


def _put(digest: str, source: Source, body: bytes | Chunks) -> Request:
    headers = {"Content-Type": source.media_type}
    if body:
        headers["Content-Length"] = str(source.size_bytes)
    return Request("PUT", f"/v1/datasets/{digest}", headers=headers, body=body)


def submit(spec: Spec, key: str | None, options: Options = PLAIN, *, hold_s: int = 0) -> Flow[Job]:
    """Admit one job; with `hold_s` the reply comes when it has finished, or after so long."""
    uploaded: Uploaded = {}
    outgoing = outgoing_of(spec)
    yield from upload_arrays([outgoing], uploaded)
    headers = {**JSON_HEADERS, "Idempotency-Key": key or str(uuid.uuid4()), **options.headers()}
    if hold_s:
        headers["Prefer"] = f"wait={hold_s}"
    body = body_of(outgoing, uploaded)
    reply = yield from exchange(Request("POST", "/v1/jobs", headers=headers, body=body, held_s=float(hold_s)))
    return Job.model_validate_json(reply.body)


def submit_many(specs: Iterable[Spec], key: str | None, options: Options = PLAIN) -> Flow[list[Job]]:
    """Admit many jobs in few requests, in their order; while some are admitted the arrays of the next are uploaded.

    Once some are admitted, a service that is away or full is waited for.

    Raises:
        MercerError: a spec was refused, with its number in the pointers; a note says how many were admitted before.
    """
    key = key or str(uuid.uuid4())
    uploaded: Uploaded = {}
    jobs: list[Job] = []
    ready: list[bytes] = []  # bodies of requests whose arrays the service has
    for held in held_specs(specs):
        if ready:
            admitted, failed = yield Together(_admit(ready, key, len(jobs), options), upload_arrays(held, uploaded))
            if isinstance(admitted, MercerError):
                raise admitted
            jobs.extend(admitted)
            if isinstance(failed, MercerError):
                raise renumbered(failed, len(jobs)) from failed
        else:
            yield from upload_arrays(held, uploaded)
        ready = list(bodies([body_of(outgoing, uploaded) for outgoing in held]))
    return jobs + (yield from _admit(ready, key, len(jobs), options))


def _admit(ready: list[bytes], key: str, before: int, options: Options) -> Flow[list[Job]]:
    """Admit the jobs of some requests; `before` were admitted by earlier ones."""
    jobs: list[Job] = []
    for body in ready:
        admitted = before + len(jobs)
        headers = {**JSON_HEADERS, "Idempotency-Key": f"{key}:{admitted}", **options.headers()}
        request = Request("POST", "/v1/jobs", headers=headers, body=body)
        try:
            reply = yield from exchange(request, patience_s=RESTART_PATIENCE_S if admitted else 0.0)
        except MercerError as error:
            raise renumbered(error, admitted) from error
        jobs.extend(JobList.model_validate_json(reply.body).jobs)
    return jobs


def outgoing_of(spec: Spec) -> Outgoing:
    """The spec with its arrays; data sets are not its own."""
    arrays = spec.arrays().items()
    return Outgoing(spec, {name: (_key(array), array) for name, array in arrays if isinstance(array, np.ndarray)})


def held_specs(specs: Iterable[Spec]) -> Iterator[list[Outgoing]]:
    """The specs in lists of at most SUBMIT_JOBS, whose distinct arrays take at most about MAX_HELD_BYTES."""
    held: list[Outgoing] = []
    seen: set[ArrayKey] = set()
    held_bytes = 0
    for outgoing in map(outgoing_of, specs):
        held.append(outgoing)
        for key, array in outgoing.arrays.values():
            if key not in seen:
                seen.add(key)
                held_bytes += array.nbytes
        if len(held) == SUBMIT_JOBS or held_bytes >= MAX_HELD_BYTES:
            yield held
            held, seen, held_bytes = [], set(), 0
    if held:
        yield held


def bodies(specs: Iterable[bytes]) -> Iterator[bytes]:
    """Request bodies of at most MAX_BODY_BYTES from specs in JSON."""
    part: list[bytes] = []
    size_bytes = 0
    for spec in specs:
        if part and size_bytes + len(spec) > MAX_BODY_BYTES:
            yield b'{"jobs":[' + b",".join(part) + b"]}"
            part, size_bytes = [], 0
        part.append(spec)
        size_bytes += len(spec) + 1
    yield b'{"jobs":[' + b",".join(part) + b"]}"


def renumbered(error: MercerError, admitted: int) -> MercerError:
    """The error of a later request, with the pointers counted from the first job of all."""
    fields = tuple(FieldError(_shifted(field.pointer, admitted), field.detail) for field in error.errors)
    shifted = type(error)(error.detail, errors=fields, retry_after_s=error.retry_after_s)
    if admitted:
        shifted.add_note(f"The first {admitted} jobs were admitted and go on.")
    return shifted


def _shifted(pointer: str, by: int) -> str:
    match pointer.split("/"):
        case ["", "jobs", number, *rest] if number.isdigit():
            return "/".join(("", "jobs", str(int(number) + by), *rest))
    return pointer


def _key(array: np.ndarray[Any, Any]) -> ArrayKey:
    place = array.__array_interface__
    return place["data"][0], place["strides"], array.shape, array.dtype.str


def upload_arrays(held: list[Outgoing], uploaded: Uploaded) -> Flow[None]:
    """Upload what is too long for the specs: large arrays by themselves, and many small ones stacked on each other.

    `uploaded` keeps those that these specs use, so that what no later spec shares is forgotten.
    """
    found = dict(pair for outgoing in held for pair in outgoing.arrays.values())
    uses = Counter(key for outgoing in held for key, _ in outgoing.arrays.values())
    # Where the smallest number matters it must be known of each array, not of the stack.
    stackable = {key for outgoing in held if not outgoing.spec.needs_minima() for key, _ in outgoing.arrays.values()}
    for key in uploaded.keys() - found.keys():
        del uploaded[key]
    small: dict[tuple[int, str], list[ArrayKey]] = defaultdict(list)
    for key, array in found.items():
        if key in uploaded:
            continue
        if array.size * uses[key] > MAX_INLINE:
            digest = yield from upload(of_array(array))
            uploaded[key] = array, DatasetReference(dataset=digest)
        elif key in stackable:
            small[array.shape[1], array.dtype.str].append(key)
    for keys in small.values():
        if sum(found[key].size for key in keys) > MIN_STACKED:
            yield from _upload_stacked({key: found[key] for key in keys}, uploaded)


def _upload_stacked(arrays: dict[ArrayKey, np.ndarray[Any, Any]], uploaded: Uploaded) -> Flow[None]:
    """One data set of many small arrays of equal width; each spec reads its own rows."""
    source = of_array(np.concatenate(list(arrays.values())))
    digest = yield Work(source.digest)
    yield from exchange(_put(digest, source, source.chunks))  # not asked for first: hardly ever is it known
    start = 0
    for key, array in arrays.items():
        stop = start + len(array)
        uploaded[key] = array, DatasetReference(dataset=digest, rows=Rows(start=start, stop=stop))
        start = stop


def body_of(outgoing: Outgoing, uploaded: Uploaded) -> bytes:
    """The spec in JSON, its uploaded arrays by digest."""
    references = {name: uploaded[key][1] for name, (key, _) in outgoing.arrays.items() if key in uploaded}
    sent = outgoing.spec.model_copy(update=references) if references else outgoing.spec
    return sent.__pydantic_serializer__.to_json(sent, exclude_none=True)
