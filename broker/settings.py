"""The settings that every process on a queue has, as types of pydantic fields."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

REDIS_URL = "redis://127.0.0.1:6379/0"
NAMESPACE = "mercer"
RESULT_TTL_S = 86_400

RedisUrl = Annotated[
    str, Field(description="Where the queue is: redis://host:port/db, rediss://... or unix:///path/to/socket.")
]
Namespace = Annotated[
    str,
    Field(min_length=1, pattern=r"^[\w.-]+$", description="Prefix of every key; one for each installation."),
]
ResultTtlS = Annotated[
    int, Field(ge=1, description="How long a finished job's record and result are kept, in seconds.")
]
