"""Webhooks as the service describes them: where it tells of jobs and batches that ended, and how that went.

Messages follow Standard Webhooks 1.0.0; the package `standardwebhooks` verifies them.
"""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from pydantic import BaseModel, ConfigDict, Field, field_validator

MAX_URL = 2_048
"""Characters of an address."""

MAX_OVERLAP_S = 7 * 86_400
"""For which a replaced secret stays valid at most."""


class WebhookEvent(StrEnum):
    """What is told. The jobs of a batch file are told of together, by the end of their batch."""

    JOB_SUCCEEDED = "job.succeeded"
    JOB_FAILED = "job.failed"
    JOB_CANCELLED = "job.cancelled"
    JOB_EXPIRED = "job.expired"
    JOB_DEAD = "job.dead"
    BATCH_COMPLETED = "batch.completed"
    BATCH_COMPLETED_WITH_ERRORS = "batch.completed_with_errors"
    BATCH_CANCELLED = "batch.cancelled"


TEST_EVENT = "webhook.test"
"""Sent when it is asked for, whatever the webhook subscribes to; tried once."""


class NewWebhook(BaseModel):
    """What a webhook is registered with."""

    model_config = ConfigDict(extra="forbid", strict=True)

    url: str = Field(
        max_length=MAX_URL, description="https, of a host with public addresses.", examples=["https://example.com/hook"]
    )
    events: list[WebhookEvent] = Field(list(WebhookEvent), min_length=1, strict=False, description="Absent: all.")

    @field_validator("events")
    @classmethod
    def _each_once(cls, events: list[WebhookEvent]) -> list[WebhookEvent]:
        return list(dict.fromkeys(events))


class WebhookChange(BaseModel):
    """What is changed of a webhook; what is absent stays."""

    model_config = ConfigDict(extra="forbid", strict=True)

    events: list[WebhookEvent] | None = Field(None, min_length=1, strict=False)
    enabled: bool | None = Field(None, description="false: it takes no events, and those that wait are given up.")


class Rotation(BaseModel):
    """How a secret is replaced."""

    model_config = ConfigDict(extra="forbid", strict=True)

    overlap_s: int = Field(
        86_400, ge=0, le=MAX_OVERLAP_S, description="How long the old secret signs too, in seconds; 0 if it leaked."
    )


class _Wire(BaseModel):
    """Unknown fields are ignored: an older client reads a newer service."""

    model_config = ConfigDict(frozen=True, extra="ignore")


class DeliveryStatus(StrEnum):
    """waiting -> delivered | abandoned."""

    WAITING = "waiting"
    DELIVERED = "delivered"
    ABANDONED = "abandoned"


class Delivery(_Wire):
    """One event on its way to a webhook."""

    id: str
    """`webhook-id`: the same at every attempt."""
    event: str
    subject: str
    """Id of the job or batch that it tells of."""
    status: DeliveryStatus
    attempts: int
    created_at: datetime
    attempted_at: datetime | None = None
    response_status: int | None = None
    """What the receiver answered to the last attempt, when it did."""
    reason: str | None = None
    """Why the last attempt failed."""
    next_attempt_at: datetime | None = None
    """Only while waiting."""


class Webhook(_Wire):
    """A registered webhook."""

    id: str
    url: str
    events: tuple[str, ...]
    enabled: bool
    disabled_reason: str | None = None
    disabled_at: datetime | None = None
    created_at: datetime
    failing_since: datetime | None = None
    """Since when no delivery succeeded; after five days it is disabled."""
    waiting: int = 0
    """Deliveries that wait, for their first attempt or another."""
    delivered: int = 0
    abandoned: int = 0
    """Given up: after ten attempts, or because it was disabled meanwhile."""
    dropped: int = 0
    """Events never queued, because 10,000 deliveries waited already."""
    secret: str | None = Field(None, repr=False)
    """What its messages are signed with; shown when it is made and when it is rotated, and never again."""
    deliveries: tuple[Delivery, ...] | None = None
    """Those that wait, the next first, then those that ended, the last first, 50 of each; when one webhook is shown."""
