"""The peer of benchmarks.http: a plain FastAPI route that validates a job with pydantic and appends it to a stream."""

import os
import uuid
from typing import Literal

from fastapi import FastAPI
from pydantic import BaseModel
from redis.asyncio import Redis

app = FastAPI()
redis = Redis.from_url(os.environ["MERCER_REDIS_URL"])


class Kernel(BaseModel):
    """As the job names it."""

    family: Literal["gaussian"]
    lengthscale: float = 1.0


class Job(BaseModel):
    """A Gram job with its points inline."""

    kind: Literal["gram"]
    kernel: Kernel
    x: list[list[float]]


class Queued(BaseModel):
    """The answer."""

    id: str
    state: str


@app.get("/readyz")
async def ready() -> None:
    """Answer."""


@app.post("/v1/jobs", status_code=202)
async def submit(job: Job) -> Queued:
    """One XADD."""
    job_id = uuid.uuid4().hex
    await redis.xadd("jobs", {"id": job_id, "spec": job.model_dump_json()})
    return Queued(id=job_id, state="queued")
