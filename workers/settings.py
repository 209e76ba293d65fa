"""How one worker process is set up: the environment's MERCER_* variables, read once in main()."""

from __future__ import annotations

import os
import socket
import sys
from pathlib import Path
from typing import Literal

from pydantic import Field, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from broker.settings import NAMESPACE, REDIS_URL, RESULT_TTL_S, Namespace, RedisUrl, ResultTtlS
from store.opening import StoreUrl


def _host_and_pid() -> str:
    return f"{socket.gethostname()}:{os.getpid()}"


class Settings(BaseSettings):
    """Every setting has its unit in its name or its description."""

    model_config = SettingsConfigDict(env_prefix="MERCER_", frozen=True, extra="ignore")

    redis_url: RedisUrl = REDIS_URL
    namespace: Namespace = NAMESPACE
    data_dir: Path = Field(
        Path("data"),
        description="Folder of the data sets and results, shared with the service; with a store_url, of the cache.",
    )
    store_url: StoreUrl = None
    cache_bytes: int = Field(
        16 * 2**30,
        ge=0,
        description="Most bytes of data sets that are copied from the store_url into data_dir, by all workers on it.",
    )
    result_ttl_s: ResultTtlS = RESULT_TTL_S
    lease_s: float = Field(
        10.0, gt=0, description="After how long without a heartbeat another worker may take the jobs, in seconds."
    )
    linger_ms: int = Field(
        1, ge=0, description="How long a batch that is not full waits for like jobs, in milliseconds."
    )
    batch_jobs: int = Field(64, ge=1, description="Most jobs in one batch.")
    batch_bytes: int = Field(
        64 * 2**20, ge=1, description="Most bytes that a batch's jobs may need together; a larger job runs alone."
    )
    worker_memory_bytes: int | None = Field(
        None,
        ge=1,
        description="Memory of the process that works, in bytes, on Linux; a job that needs more fails and says so."
        " Absent, 90 % of the machine's or the container's.",
    )
    drain_s: float = Field(
        20.0,
        ge=0,
        description="How long the running batch may go on after SIGTERM before it is given back, in seconds.",
    )
    log_format: Literal["text", "json"] = Field("text", description="Lines of text, or one JSON object a line.")
    metrics_host: str = Field("127.0.0.1", description="Address on which /metrics is shown; it names no job.")
    metrics_port: int | None = Field(
        None, ge=0, le=65_535, description="TCP port of /metrics; absent, it is not shown; 0 takes a free one."
    )
    worker_name: str = Field(default_factory=_host_and_pid, min_length=1, description="As the job records show it.")
    device: str = Field("auto", pattern=r"^(auto|cpu|cuda:\d+)$", description="auto takes the first GPU, else the CPU.")

    @field_validator("worker_memory_bytes")
    @classmethod
    def _enforceable(cls, value: int | None) -> int | None:
        if value is not None and sys.platform != "linux":
            raise ValueError("only Linux can hold a process to it: leave it out")
        return value
