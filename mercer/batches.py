"""Batches as the service describes them: many jobs that were submitted in one file of JSON lines."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Any

from pydantic import BaseModel, ConfigDict

from mercer.jobs import Priority, Result, State

MAX_LINES = 50_000
MAX_BYTES = 200_000_000
"""Of one file."""

MEDIA_TYPE = "application/jsonl"


class BatchStatus(StrEnum):
    """in_progress -> completed | completed_with_errors, or, once it is to be cancelled, cancelling -> cancelled."""

    IN_PROGRESS = "in_progress"
    COMPLETED = "completed"
    COMPLETED_WITH_ERRORS = "completed_with_errors"
    CANCELLING = "cancelling"
    CANCELLED = "cancelled"


class _Wire(BaseModel):
    """Unknown fields are ignored: an older client reads a newer service."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class Counts(_Wire):
    """How many jobs of a batch are in which state; they always sum to the total."""

    total: int
    queued: int
    running: int
    succeeded: int
    failed: int
    cancelled: int
    expired: int
    dead: int

    @property
    def done(self) -> int:
        """How many have ended, well or not."""
        return self.total - self.queued - self.running


class Batch(_Wire):
    """A batch as the service sees it now."""

    id: str
    status: BatchStatus
    counts: Counts
    priority: Priority = Priority.LOW
    created_at: datetime
    finished_at: datetime | None = None
    expires_at: datetime | None = None
    """When its jobs are stopped that have not ended; absent, never."""

    @property
    def done(self) -> bool:
        """Whether all of its jobs have ended."""
        return self.counts.done == self.counts.total


class BatchLine(_Wire):
    """A job of a batch that has ended: a line of its output, or of its errors."""

    custom_id: str
    job_id: str
    kind: str | None = None
    """Absent when the job's record has passed its time to live."""
    state: State
    result: Result | None = None
    """Only when succeeded: small ones with their value, others with the location where to fetch them."""
    error: dict[str, Any] | None = None
    """A problem document; only when failed, expired or dead."""
    cursor: str
    """`?after=` it gives the lines behind this one."""
