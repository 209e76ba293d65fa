"""From (custom_id, spec) pairs or a file to a batch, and from a batch to its results: flows, no I/O here."""

from __future__ import annotations

import math
import tempfile
import time
import uuid
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO, Any, NamedTuple, TypeAlias

import numpy as np
from pydantic import BaseModel
from pydantic_core import to_json

from mercer.batches import MEDIA_TYPE, Batch, BatchLine
from mercer.downloads import Watch
from mercer.errors import WaitTimeout
from mercer.retries import RESTART_PATIENCE_S, exchange
from mercer.specs import Spec
from mercer.steps import Flow, Request
from mercer.submitting import PLAIN, Options, Uploaded, body_of, held_specs, upload_arrays
from mercer.waiting import HOLD_S, WATCHED_HOLD_S, Fetched, fetch_array, fetch_small

CHECK_HOLD_S = 120.0
"""How long the service may check a file of 50,000 lines before it answers."""
LINES_AT_ONCE = 500
CHUNK_BYTES = 2**20

Pairs: TypeAlias = Iterable[tuple[str, Spec]]


class BatchList(BaseModel):
    """How the service lists batches."""

    batches: list[Batch]


class Output(NamedTuple):
    """Some lines of a batch, and whether there will be more."""

    lines: list[Fetched]
    more: bool


def write_lines(pairs: Pairs, file: IO[bytes]) -> Flow[None]:
    """Write a batch file; arrays of more than 1,000 numbers are uploaded and named by digest."""
    names: list[str] = []

    def specs() -> Iterator[Spec]:
        for name, spec in pairs:
            names.append(name)
            yield spec

    uploaded: Uploaded = {}
    for held in held_specs(specs()):
        yield from upload_arrays(held, uploaded)
        for name, outgoing in zip(names, held, strict=True):
            file.write(b'{"custom_id":%b,"spec":%b}\n' % (to_json(name), body_of(outgoing, uploaded)))
        names.clear()


def submit_batch(jobs: Path | Pairs, key: str | None, options: Options = PLAIN) -> Flow[Batch]:
    """Submit a file, or what an iterable gives.

    Raises:
        InvalidSpec: pointers begin with the number of the line from 1, such as /lines/3/spec/kernel.
    """
    if isinstance(jobs, Path):
        return (yield from _post(jobs, key, options))
    with tempfile.NamedTemporaryFile(suffix=".jsonl") as file:
        yield from write_lines(jobs, file)
        file.flush()
        return (yield from _post(Path(file.name), key, options))


def _post(path: Path, key: str | None, options: Options) -> Flow[Batch]:
    def chunks() -> Iterator[bytes]:
        with path.open("rb") as file:
            while chunk := file.read(CHUNK_BYTES):
                yield chunk

    headers = {
        "Content-Type": MEDIA_TYPE,
        "Content-Length": str(path.stat().st_size),
        "Idempotency-Key": key or str(uuid.uuid4()),
        **options.headers(),
    }
    request = Request("POST", "/v1/batches", headers=headers, body=chunks, held_s=CHECK_HOLD_S)
    return Batch.model_validate_json((yield from exchange(request)).body)


def fetch_batch(batch: str, *, hold_s: float = 0.0, patience_s: float = 0.0) -> Flow[Batch]:
    """Its record now, or when all of its jobs have ended, or after `hold_s` seconds."""
    params = {"wait": f"{hold_s:.3f}"} if hold_s else {}
    request = Request("GET", f"/v1/batches/{batch}", params=params, held_s=hold_s)
    reply = yield from exchange(request, patience_s=patience_s)
    return Batch.model_validate_json(reply.body)


def wait_batch(batch: Batch, timeout_s: float | None, watch: Watch | None) -> Flow[Batch]:
    """Wait until all jobs have ended.

    Raises:
        WaitTimeout: they had not after `timeout_s` seconds; they go on.
    """
    until = math.inf if timeout_s is None else time.monotonic() + timeout_s
    while not batch.done:
        if (left_s := until - time.monotonic()) <= 0:
            raise WaitTimeout(f"Batch {batch.id} is still {batch.status} after {timeout_s:g} s; it goes on.")
        hold_s = min(left_s, WATCHED_HOLD_S if watch else HOLD_S)
        batch = yield from fetch_batch(batch.id, hold_s=hold_s, patience_s=RESTART_PATIENCE_S)
        tell(batch, watch)
    return batch


def tell(batch: Batch, watch: Watch | None) -> None:
    """Tell the progress, if anybody looks."""
    if watch:
        watch(f"{batch.counts.done} of {batch.counts.total} jobs", batch.counts.done / batch.counts.total)


def cancel_batch(batch: str) -> Flow[Batch]:
    """Cancel what has not ended."""
    return Batch.model_validate_json((yield from exchange(Request("POST", f"/v1/batches/{batch}/cancel"))).body)


def list_batches(limit: int) -> Flow[list[Batch]]:
    """The newest first."""
    reply = yield from exchange(Request("GET", "/v1/batches", params={"limit": str(limit)}))
    return BatchList.model_validate_json(reply.body).batches


def read_lines(batch: str, name: str, after: str, hold_s: float = 0.0) -> Flow[list[BatchLine]]:
    """Some lines of the output or the errors behind a cursor, when there are any."""
    params = {"limit": str(LINES_AT_ONCE), "wait": f"{hold_s:.3f}"} | ({"after": after} if after else {})
    request = Request("GET", f"/v1/batches/{batch}/{name}", params=params, held_s=hold_s)
    reply = yield from exchange(request, patience_s=RESTART_PATIENCE_S)
    return [BatchLine.model_validate_json(line) for line in reply.body.splitlines()]


def next_results(batch: str, after: str, watch: Watch | None) -> Flow[Output]:
    """The next jobs that succeeded, their results of up to 1 MB fetched; none and no more when all have ended."""
    found = yield from read_lines(batch, "output", after, WATCHED_HOLD_S if watch else HOLD_S)
    more = bool(found)
    if watch or not found:
        record = yield from fetch_batch(batch, patience_s=RESTART_PATIENCE_S)
        tell(record, watch)
        more = more or not record.done
    if not more:  # what ended after the lines were read and before the record was
        found = yield from read_lines(batch, "output", after)
        more = bool(found)
    lines = [Fetched(line) for line in found]
    yield from fetch_small(lines)
    return Output(lines, more)


def array_of(fetched: Fetched) -> Flow[np.ndarray[Any, Any]]:
    """The numbers of the result of a line."""
    if fetched.array is None:
        fetched.array = yield from fetch_array(fetched.id)
    return fetched.array


def all_lines(batch: str, name: str) -> Flow[list[BatchLine]]:
    """All lines that there are now."""
    lines: list[BatchLine] = []
    while found := (yield from read_lines(batch, name, lines[-1].cursor if lines else "")):
        lines += found
    return lines
