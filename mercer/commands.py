"""What each command of the shell does: takes a client and arguments, gives the text to print."""

from __future__ import annotations

import json
from argparse import Namespace
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from mercer.client import Client
from mercer.errors import InvalidRequest
from mercer.handles import JobHandle
from mercer.jobs import Dataset, Job, State
from mercer.kernels import FAMILIES
from mercer.plots import require
from mercer.spec_commands import check_drawn, draw, made, text_of
from mercer.specs import KINDS, Spec
from mercer.tables import table
from mercer.waiting import answer_of, succeeded

T = TypeVar("T")


class Interrupted(Exception):
    """Ctrl-C while a job was waited for."""


def run(client: Client, arguments: Namespace) -> str:
    """Upload, submit, wait, save: of any kind of job."""
    _check_outputs(arguments, arguments.kind)
    spec = made(client, KINDS[arguments.kind], arguments)
    job = client.submit(spec, cancel_after=arguments.cancel_after, priority=arguments.priority)
    answer = _collected(job, arguments.output)
    if arguments.plot:
        draw(answer, arguments.plot, title=_title(spec))
    if arguments.json:
        return job.record.model_dump_json(indent=2, exclude_none=True)
    written = [str(path) for path in (arguments.output, arguments.plot) if path]
    shown = [] if written and isinstance(answer, np.ndarray) else [text_of(answer)]
    return "\n".join((summary(job.record), *shown, *written))


def _title(spec: Spec) -> str:
    return str(getattr(spec, "kernel", spec.kind))


def jobs(client: Client, arguments: Namespace) -> str:
    """The latest jobs."""
    records = [job.record for job in client.jobs(arguments.state, limit=arguments.limit)]
    if arguments.json:
        return _json_list(records)
    rows = [
        (job.id, job.kind, job.state, f"{job.progress:.0%}", f"{job.created_at:%Y-%m-%d %H:%M:%S}") for job in records
    ]
    return table(("id", "kind", "state", "done", "created (UTC)"), rows)


def dead(client: Client, arguments: Namespace) -> str:
    """The latest jobs that were given up, with the reasons."""
    records = [job.record for job in client.jobs(State.DEAD, limit=arguments.limit)]
    if arguments.json:
        return _json_list(records)
    rows = [(job.id, job.kind, f"{job.finished_at:%Y-%m-%d %H:%M:%S}", (job.error or {})["detail"]) for job in records]
    return table(("id", "kind", "died (UTC)", "reason"), rows)


def requeue(client: Client, arguments: Namespace) -> str:
    """Queue jobs again that were given up: some, or all."""
    if arguments.all:
        return f"{client.retry_dead()} jobs are queued again"
    return "\n".join(f"{job_id} {client.job(job_id).retry().state}" for job_id in arguments.id)


def show(client: Client, arguments: Namespace) -> str:
    """One job, now or when it has finished."""
    job = client.job(arguments.id)
    if arguments.wait:
        with_hint(job, lambda: job.wait(progress=None))
    if arguments.json:
        return job.record.model_dump_json(indent=2, exclude_none=True)
    return details(job.record)


def cancel(client: Client, arguments: Namespace) -> str:
    """Stop jobs."""
    return "\n".join(f"{job_id} {client.job(job_id).cancel().state}" for job_id in arguments.id)


def result(client: Client, arguments: Namespace) -> str:
    """Save the result of a job, when it has finished."""
    job = client.job(arguments.id)
    _check_outputs(arguments, job.record.kind)
    answer = _collected(job, arguments.output)
    if arguments.plot:
        draw(answer, arguments.plot, title=job.id)
    return "\n".join((summary(job.record), *(str(path) for path in (arguments.output, arguments.plot) if path)))


def datasets(client: Client, arguments: Namespace) -> str:
    """List, upload or delete data sets."""
    if arguments.action == "delete":
        for digest in arguments.digest:
            client.datasets.delete(digest)
        return ""
    found = _found_datasets(client, arguments)
    if arguments.json:
        return _json_list(found)
    return table(("digest", "shape", "dtype", "from", "columns"), [_dataset_row(dataset) for dataset in found])


def _found_datasets(client: Client, arguments: Namespace) -> Sequence[Dataset]:
    match arguments.action:
        case "upload":
            return [client.datasets.upload(path) for path in arguments.file]
        case "prune":
            return client.datasets.prune(arguments.older_than_days)
    return client.datasets.list()


def kernels(arguments: Namespace) -> str:
    """The kernel functions that can be written, with their formulas; asks no service."""
    rows = []
    for name, family in FAMILIES.items():
        fields = [field for field in family.model_fields if field not in ("family", "active_dimensions")]
        noted = "" if family(**family.examples[0]).positive_definite else "   (not positive definite)"
        rows.append((f"{name}({', '.join(fields)})", family.formula + noted))
    if arguments.json:
        return json.dumps({name: family.model_json_schema() for name, family in FAMILIES.items()}, indent=2)
    text = table(("kernel function", "k(x, y)"), rows)
    return text + "\n\nCompose with + and *, a number * and ** of a whole number; each takes active_dimensions=[...]."


def _check_outputs(arguments: Namespace, kind: str) -> None:
    """Find out before the job runs what would fail after it.

    Raises:
        InvalidRequest: a folder does not exist, the name does not say npy, or there is nothing to draw.
        PlotsNotInstalled: matplotlib is missing.
    """
    for path in (arguments.output, arguments.plot):
        if path and not path.parent.is_dir():
            raise InvalidRequest(f"no folder {path.parent}")
    if arguments.output and arguments.output.suffix != ".npy":
        raise InvalidRequest(f"expected a file named .npy, got {arguments.output}")
    if arguments.plot:
        check_drawn(kind)
        require()


def _collected(job: JobHandle, output: Path | None) -> Any:
    """The result, its numbers in the file when there is one: they may be larger than memory."""
    if output is None:
        return with_hint(job, job.result)
    array = np.load(with_hint(job, lambda: job.save(output)), mmap_mode="r")
    return answer_of(job.record.kind, succeeded(job.record), array)


def with_hint(job: JobHandle, action: Callable[[], T]) -> T:
    """Do it.

    Raises:
        Interrupted: says how to go on waiting.
    """
    try:
        return action()
    except KeyboardInterrupt:
        raise Interrupted(f"job {job.id} goes on; `mercer show {job.id} --wait` waits for it") from None


def summary(job: Job) -> str:
    """One line of what came out and how long it took."""
    shape = " x ".join(str(size) for size in job.result.shape) if job.result else "nothing"
    kind = f"{job.result.dtype}, {job.result.size_bytes / 1e6:.1f} MB" if job.result else job.state
    times = job.timings
    took = f", queued {times.queued_ms:.1f} ms, computed in {times.compute_ms:.1f} ms" if times else ""
    return f"{job.id}: {shape} {kind}, on {job.device}{took}"


def details(job: Job) -> str:
    """The record, a field a line."""
    record = job.model_dump(mode="json", exclude_none=True, exclude={"result": {"value"}})
    width = max(len(name) for name in record)
    return "\n".join(f"{name:{width}}  {_short(value)}" for name, value in record.items())


def _dataset_row(dataset: Dataset) -> tuple[str, ...]:
    names = ", ".join(dataset.columns or ())
    shown = names if len(names) <= 60 else names[:57] + "..."
    return dataset.digest, " x ".join(map(str, dataset.shape)), dataset.dtype, dataset.format, shown


def _short(value: object) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _json_list(records: Sequence[Job] | Sequence[Dataset]) -> str:
    return json.dumps([record.model_dump(mode="json", exclude_none=True) for record in records], indent=2)
