"""How one service process is set up: the environment's MERCER_* variables, read once in main()."""

from __future__ import annotations

from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict


class Settings(BaseSettings):
    """Every setting has its unit in its name or its description."""

    model_config = SettingsConfigDict(env_prefix="MERCER_", frozen=True, extra="ignore")

    redis_url: str = Field(
        "redis://127.0.0.1:6379/0",
        description="Where the queue is: redis://host:port/db, rediss://... or unix:///path/to/socket.",
    )
    namespace: str = Field(
        "mercer", min_length=1, pattern=r"^[\w.-]+$", description="Prefix of every key; one for each installation."
    )
    data_dir: Path = Field(Path("data"), description="Folder of the data sets and results, on one file system.")
    host: str = Field("127.0.0.1", description="Address to listen on; loopback only, as there are no API keys yet.")
    port: Annotated[int, Field(ge=0, le=65_535)] = Field(8000, description="TCP port to listen on; 0 takes a free one.")
    result_ttl_s: int = Field(
        86_400, ge=1, description="How long a finished job's record and result are kept, in seconds."
    )
    idempotency_ttl_s: int = Field(
        86_400, ge=1, description="How long an Idempotency-Key stands for its job, in seconds."
    )
    max_queued: int = Field(100_000, ge=1, description="Jobs that may wait; beyond them a submission is refused (429).")
    max_upload_bytes: int = Field(
        2**33, ge=1, description="Largest upload of a data set, in bytes; larger ones are refused (413)."
    )
    max_job_bytes: int = Field(
        2**34, ge=1, description="Most memory that one job may need in a worker, in bytes; beyond it is refused (422)."
    )
    max_result_bytes: int = Field(
        2**36, ge=1, description="Largest result of one job, in bytes; beyond it the job is refused (422)."
    )
    max_bodies_bytes: int = Field(
        2**28,
        ge=1,
        description="Memory for the bodies of requests at once, in bytes; beyond it they wait 10 s, then get 503.",
    )
    max_conversions: int = Field(2, ge=1, description="CSV and Parquet files read at once, each by a process.")
    body_timeout_s: float = Field(
        15.0, gt=0, description="How long a client may send nothing of its body, in seconds; then it gets 408."
    )
    min_body_rate: float = Field(
        10_000.0, gt=0, description="How much of its body a client must send on average, in bytes a second; else 408."
    )
    stalled_s: float = Field(
        60.0, gt=0, description="How long a client may read nothing of its answer before it is cut off, in seconds."
    )
    log_format: Literal["text", "json"] = Field("text", description="Lines of text, or one JSON object a line.")
    drain_s: int = Field(
        10, ge=0, description="How long requests in flight may take to finish after SIGTERM, in seconds."
    )

    @field_validator("host")
    @classmethod
    def _loopback(cls, host: str) -> str:
        if host != "localhost" and not _is_loopback(host):
            raise ValueError(
                f"expected a loopback address such as 127.0.0.1, got {host}: the service has no API keys yet, "
                "so anybody who reaches it may use it; put an authenticating proxy in front of it instead"
            )
        return host


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
