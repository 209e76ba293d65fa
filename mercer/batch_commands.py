"""`mercer batch ...`: a batch file run into a folder, and batches looked at."""

from __future__ import annotations

import hashlib
import json
import os
import uuid
from argparse import Namespace
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
from pydantic import BaseModel

from mercer.batch_handles import BatchHandle
from mercer.batches import Batch, BatchLine, BatchStatus
from mercer.client import Client
from mercer.commands import Interrupted
from mercer.errors import InvalidRequest, JobFailed
from mercer.progress import watching
from mercer.tables import table
from mercer.waiting import Fetched

MAX_NAME = 150
"""Characters of a file's name: longer ones end with a digest instead."""


class Progressed(BaseModel):
    """`batch.json` in the folder: how far a run has come, so that the same command goes on."""

    digest: str
    """SHA-256 of the batch file."""
    key: str
    """Idempotency-Key of its submission: sent again, it is the same batch."""
    after: str = ""
    """Cursor of the last line whose result is in the folder."""


def run(client: Client, arguments: Namespace) -> str:
    """Submit a file, or go on with it, and save each result as it comes.

    Raises:
        JobFailed: some jobs did not succeed.
        Interrupted: says how to go on.
    """
    folder: Path = arguments.output
    folder.mkdir(parents=True, exist_ok=True)
    state = _begun(folder, arguments.file)
    options = {"cancel_after": arguments.cancel_after, "priority": arguments.priority}
    batch = client.batch(arguments.file, idempotency_key=state.key, **options)
    try:
        _collect(batch, folder, state)
    except KeyboardInterrupt:
        raise Interrupted(f"batch {batch.id} goes on; the same command saves the rest") from None
    record = batch.refresh()
    errors = batch.errors()
    _write_lines(folder / "errors.jsonl", errors)
    _write_lines(folder / "output.jsonl", batch.output())
    if record.status != BatchStatus.COMPLETED:
        raise JobFailed(f"batch {batch.id} is {record.status}: {len(errors)} jobs are in {folder / 'errors.jsonl'}")
    return record.model_dump_json(indent=2) if arguments.json else f"{batch.id}: {record.counts.succeeded} in {folder}"


def _write_lines(path: Path, lines: list[BatchLine]) -> None:
    """What the service tells of each job; the numbers are in files of their own."""
    hidden: dict[str, Any] = {"cursor": True, "result": {"value", "location"}}
    texts = [line.model_dump_json(exclude=hidden, exclude_none=True) + "\n" for line in lines]
    path.write_text("".join(texts), encoding="utf-8")


def _begun(folder: Path, file: Path) -> Progressed:
    """What the folder says of this file; begun anew when it says nothing.

    Raises:
        InvalidRequest: the folder belongs to another file.
    """
    with file.open("rb") as opened:
        digest = hashlib.file_digest(opened, "sha256").hexdigest()
    path = folder / "batch.json"
    if path.exists():
        state = Progressed.model_validate_json(path.read_bytes())
        if state.digest != digest:
            raise InvalidRequest(f"{folder} holds results of another file: expected a folder of its own")
        return state
    state = Progressed(digest=digest, key=str(uuid.uuid4()))
    _keep(folder, state)
    return state


def _keep(folder: Path, state: Progressed) -> None:
    part = folder / "batch.json.part"
    part.write_text(state.model_dump_json())
    os.replace(part, folder / "batch.json")


def _collect(batch: BatchHandle, folder: Path, state: Progressed) -> None:
    with watching(None, batch.id) as watch:
        for page in batch.pages(state.after, watch):
            for fetched in page:
                _save(batch, fetched, folder)
            if page:
                state.after = page[-1].line.cursor
                _keep(folder, state)


def _save(batch: BatchHandle, fetched: Fetched, folder: Path) -> None:
    path = folder / file_name(fetched.line.custom_id)
    part = path.with_name(path.name + ".part")
    with part.open("wb") as file:
        np.save(file, batch.array(fetched))
    os.replace(part, path)


def file_name(custom_id: str) -> str:
    """A name that any file system takes, another for every custom_id: what is not a letter, digit, _, - or . is %xx."""
    name = quote(custom_id, safe="")
    if name.startswith("."):
        name = "%2E" + name[1:]
    if len(name) > MAX_NAME:
        name = name[:MAX_NAME] + "~" + hashlib.sha256(custom_id.encode()).hexdigest()[:16]
    return name + ".npy"


def show(client: Client, arguments: Namespace) -> str:
    """One batch."""
    return client.find_batch(arguments.id).record.model_dump_json(indent=2, exclude_none=True)


def cancel(client: Client, arguments: Namespace) -> str:
    """Cancel what has not ended."""
    return f"{arguments.id} {client.find_batch(arguments.id).cancel().status}"


def listing(client: Client, arguments: Namespace) -> str:
    """The latest batches."""
    batches = client.batches(limit=arguments.limit)
    if arguments.json:
        return json.dumps([batch.model_dump(mode="json", exclude_none=True) for batch in batches], indent=2)
    return table(("id", "status", "done", "created (UTC)"), [_row(batch) for batch in batches])


def _row(batch: Batch) -> tuple[str, ...]:
    done = f"{batch.counts.done} of {batch.counts.total}"
    return batch.id, batch.status, done, f"{batch.created_at:%Y-%m-%d %H:%M:%S}"
