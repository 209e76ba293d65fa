"""Whose an object is: every job, data set, result and batch belongs to one tenant and is invisible to all others."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

DEFAULT_TENANT = "default"
"""Whose everything is while a service asks for no keys."""

Tenant = Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,62}$")]
"""The name of a tenant; part of the names of objects and of keys in Redis."""
