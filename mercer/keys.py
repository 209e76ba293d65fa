"""API keys: what a key may do, and how it is shown."""

from __future__ import annotations

from datetime import date, datetime
from enum import StrEnum
from typing import Annotated

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, field_serializer

from mercer.tenants import Tenant


class Scope(StrEnum):
    """What a key may do with the objects of its tenant."""

    JOBS_READ = "jobs:read"
    """See jobs, batches, their results and the workers."""
    JOBS_WRITE = "jobs:write"
    """Submit, cancel and retry jobs and batches, on any data set of the tenant."""
    DATASETS_READ = "datasets:read"
    """List and download data sets."""
    DATASETS_WRITE = "datasets:write"
    """Upload and delete data sets."""
    WEBHOOKS_ADMIN = "webhooks:admin"
    """Register, see, change and remove webhooks, which are told the ids of all jobs and batches that end."""
    PRIVATE_ADMIN = "private:admin"
    """Protect data sets, upload and delete private ones."""
    PRIVATE_SPEND = "private:spend"
    """Spend privacy budgets on releases; jobs:write too."""
    PRIVATE_READ = "private:read"
    """See the terms of private data sets, what was spent on them, and releases."""
    KEYS_ADMIN = "keys:admin"
    """Create, list and revoke the keys of the tenant, with no scope that the key itself has not."""


ALL_SCOPES = frozenset(Scope)


class NewKey(BaseModel):
    """What a key is to be."""

    model_config = ConfigDict(extra="forbid")

    name: Annotated[str, Field(min_length=1, max_length=64, pattern=r"^[^\x00-\x1f\x7f]+$")]
    """Who or what uses it; it need not be unique."""
    scopes: Annotated[frozenset[Scope], Field(min_length=1, json_schema_extra={"uniqueItems": False})]
    """What it may do; more than once counts once."""
    tenant: Tenant | None = None
    """Whose objects it reaches; absent, those that the key reaches with which this is asked."""
    expires_at: AwareDatetime | None = None
    """From when on it is refused; absent, never."""


class ApiKey(BaseModel):
    """A key without its secret, which nobody can see again."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    id: str
    name: str
    tenant: str
    scopes: frozenset[Scope]
    created_at: datetime
    expires_at: datetime | None = None
    last_used_on: date | None = None
    """The day (UTC) on which it was used last; absent when it never was."""

    @field_serializer("scopes")
    def _in_order(self, scopes: frozenset[Scope]) -> list[Scope]:
        return sorted(scopes)


class CreatedKey(ApiKey):
    """A new key, shown this once."""

    key: Annotated[str, Field(repr=False)]
    """What goes into MERCER_API_KEY, or after `Authorization: Bearer`."""
