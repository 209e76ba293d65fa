"""The job record: what the service answers and the client reads."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from enum import StrEnum
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from mercer.arrays import DType
from mercer.points import DatasetReference, Rows


class State(StrEnum):
    """queued -> running -> one of TERMINAL."""

    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"
    EXPIRED = "expired"
    DEAD = "dead"


class Priority(StrEnum):
    """Which jobs go first; of ten batches at least one is of the lowest priority that waits."""

    HIGH = "high"
    NORMAL = "normal"
    LOW = "low"


TERMINAL = frozenset(State) - {State.QUEUED, State.RUNNING}


class _Wire(BaseModel):
    """Unknown fields are ignored: an older client reads a newer service."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class Timings(_Wire):
    """Where the time went, in milliseconds."""

    queued_ms: float
    """From admission until a worker took it, linger included."""
    transfer_ms: float
    """Reading the arrays and storing the result."""
    compute_ms: float
    """Of the whole batch that it was computed in."""


class Result(_Wire):
    """What a succeeded job gave."""

    shape: tuple[int, ...]
    dtype: DType | Literal["int64"]
    """int64: the exact numbers of a private release."""
    size_bytes: int
    """Of the npy file."""
    facts: dict[str, Any] = {}
    """What the operation tells of its answer, such as positive_definite, plan and formula."""
    value: list[Any] | None = None
    """The numbers themselves, nested as the shape is, when they are at most MAX_INLINE and all finite."""
    location: str | None = None
    """Where to fetch it otherwise: /v1/jobs/{id}/result."""


class Job(_Wire):
    """A job as the service sees it now."""

    id: str
    kind: str
    state: State
    batch_key: str
    priority: Priority = Priority.NORMAL
    batch_size: int | None = None
    """How many jobs shared its launch."""
    attempt: int = 0
    """How many times it was given to a worker."""
    worker: str | None = None
    device: str | None = None
    queue_position: int | None = None
    """How many waiting jobs came before it; a higher priority, or another tenant's turn, may go first all the same."""
    progress: float = 0.0
    """From 0 to 1."""
    created_at: datetime
    started_at: datetime | None = None
    finished_at: datetime | None = None
    expires_at: datetime | None = None
    """When it is stopped if it has not ended; absent, never."""
    timings: Timings | None = None
    result: Result | None = None
    """Only when succeeded."""
    error: dict[str, Any] | None = None
    """A problem document; only when failed, expired or dead."""

    @property
    def done(self) -> bool:
        """Whether the state is terminal: nothing changes any more."""
        return self.state in TERMINAL


class Dataset(_Wire):
    """An uploaded data set: stored as npy, whatever it was uploaded as."""

    digest: str
    """SHA-256 of the bytes as they were uploaded: its name everywhere."""
    shape: tuple[int, ...]
    dtype: str
    format: str
    """npy, csv or parquet: what was uploaded."""
    size_bytes: int
    """Of the stored npy file."""
    columns: tuple[str, ...] | None = None
    """Names of the numeric columns, in order; None for npy."""
    text_columns: tuple[str, ...] = ()
    """Columns of the upload that are not numbers and so not part of the matrix."""
    minima: tuple[float, ...] = ()
    """The smallest number in each column."""
    created_at: datetime

    def select(
        self, *, columns: Sequence[int | str] | None = None, rows: Rows | Sequence[int] | slice | None = None
    ) -> DatasetReference:
        """Some of its columns, by name or index from 0, and some of its rows; in the order given."""
        return DatasetReference.model_validate({"dataset": self.digest, "columns": columns, "rows": rows})

    @property
    def reference(self) -> DatasetReference:
        """All of it, as a field of a spec."""
        return self.select()


class Worker(_Wire):
    """A worker that is alive."""

    name: str
    device: str
    started_at: datetime
    seen_at: datetime
    running: int
    """Jobs it holds now."""
    jobs_done: int
