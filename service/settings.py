"""How one service process is set up: the environment's MERCER_* variables, read once in main()."""

from __future__ import annotations

import re
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, IPvAnyNetwork, SecretStr, ValidationInfo, field_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from broker.settings import NAMESPACE, REDIS_URL, RESULT_TTL_S, Namespace, RedisUrl, ResultTtlS
from store.opening import StoreUrl

MIN_ROOT_KEY = 32
"""Characters: 128 bits where they are hexadecimal digits."""

_ROOT_KEY = re.compile(rf"[\x21-\x7e]{{{MIN_ROOT_KEY},1024}}")


class Settings(BaseSettings):
    """Every setting has its unit in its name or its description."""

    model_config = SettingsConfigDict(env_prefix="MERCER_", frozen=True, extra="ignore")

    redis_url: RedisUrl = REDIS_URL
    namespace: Namespace = NAMESPACE
    data_dir: Path = Field(
        Path("data"),
        description="Folder of the data sets and results, on one file system; with a store_url, of work in progress.",
    )
    store_url: StoreUrl = None
    ledger_url: str | None = Field(
        None,
        description="Where privacy budgets are kept: sqlite:////path/ledger.db or postgresql+psycopg://user@host/database."
        " Absent, ledger.db in data_dir.",
    )
    root_key: SecretStr | None = Field(
        None,
        description="The API key with every scope, of 32 characters or more; with it, every request needs a key.",
    )
    root_key_file: Path | None = Field(
        None, validate_default=True, description="A file that holds the root key, such as a mounted secret."
    )
    key_rate: float = Field(
        1_000.0, gt=0, description="Requests a second that one API key may send on average; beyond it 429."
    )
    key_burst: int = Field(
        2_000, ge=1, description="Requests that one API key may send at once, after sending fewer than its rate."
    )
    host: str = Field("127.0.0.1", description="Address to listen on; other than loopback only with a root key.")
    port: Annotated[int, Field(ge=0, le=65_535)] = Field(8000, description="TCP port to listen on; 0 takes a free one.")
    result_ttl_s: ResultTtlS = RESULT_TTL_S
    idempotency_ttl_s: int = Field(
        86_400, ge=1, description="How long an Idempotency-Key stands for its job, in seconds."
    )
    max_queued: int = Field(100_000, ge=1, description="Jobs that may wait; beyond them a submission is refused (429).")
    max_upload_bytes: int = Field(
        2**33, ge=1, description="Largest upload of a data set, in bytes; larger ones are refused (413)."
    )
    max_tenant_queued: int | None = Field(
        None, ge=1, description="Jobs of one tenant that may wait (429); absent, no bound but that of all."
    )
    memory_share: float = Field(
        0.8, gt=0, le=1, description="Part of Redis' maxmemory beyond which submissions are refused (503)."
    )
    max_tenant_bytes: int | None = Field(
        None, ge=1, description="Most that the data sets of one tenant may take, in bytes (413); absent, no bound."
    )
    max_job_bytes: int = Field(
        2**34, ge=1, description="Most memory that one job may need in a worker, in bytes; beyond it is refused (422)."
    )
    max_result_bytes: int = Field(
        2**36, ge=1, description="Largest result of one job, in bytes; beyond it the job is refused (422)."
    )
    require_durable: bool = Field(
        False, description="Refuse to start on a queue that may lose an accepted job when the power is cut."
    )
    trust_durability: bool = Field(
        False,
        description="Believe the provider of a queue that forbids CONFIG GET that it survives a power cut.",
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
    webhooks_allow_http: Annotated[tuple[str, ...], NoDecode] = Field(
        (), description="Hosts to which webhooks may go without TLS, such as localhost,hooks.internal."
    )
    webhooks_allow_private: Annotated[tuple[IPvAnyNetwork, ...], NoDecode] = Field(
        (), description="Networks to which webhooks may go though they are not public, such as 127.0.0.0/8,10.1.0.0/16."
    )
    log_format: Literal["text", "json"] = Field("text", description="Lines of text, or one JSON object a line.")
    drain_s: int = Field(
        10, ge=0, description="How long requests in flight may take to finish after SIGTERM, in seconds."
    )

    @property
    def ledger(self) -> str:
        """The address of the ledger."""
        return self.ledger_url or f"sqlite:///{(self.data_dir / 'ledger.db').absolute()}"

    @property
    def root(self) -> str | None:
        """The root key; None where no keys are asked for."""
        if self.root_key is not None:
            return self.root_key.get_secret_value()
        return None if self.root_key_file is None else _read(self.root_key_file)

    @field_validator("root_key")
    @classmethod
    def _long_enough(cls, key: SecretStr | None) -> SecretStr | None:
        if key is not None:
            _check(key.get_secret_value())
        return key

    @field_validator("root_key_file")
    @classmethod
    def _readable(cls, file: Path | None, info: ValidationInfo) -> Path | None:
        if file is not None and info.data.get("root_key") is not None:
            raise ValueError("expected MERCER_ROOT_KEY or MERCER_ROOT_KEY_FILE, got both")
        if file is not None:
            _check(_read(file))
        return file

    @field_validator("webhooks_allow_http", "webhooks_allow_private", mode="before")
    @classmethod
    def _split(cls, value: object) -> object:
        return (
            tuple(one.strip().lower() for one in value.split(",") if one.strip()) if isinstance(value, str) else value
        )

    @field_validator("host")
    @classmethod
    def _guarded(cls, host: str, info: ValidationInfo) -> str:
        without_key = info.data.get("root_key") is None and info.data.get("root_key_file") is None
        if without_key and host != "localhost" and not _is_loopback(host):
            raise ValueError(
                f"expected a loopback address such as 127.0.0.1, got {host}: without API keys anybody who reaches the "
                "service may use it; set MERCER_ROOT_KEY to `openssl rand -hex 32` and create keys with it"
            )
        return host


def _read(file: Path) -> str:
    try:
        return file.read_text().strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f"the root key cannot be read: {type(error).__name__}") from None


def _check(key: str) -> None:
    if not _ROOT_KEY.fullmatch(key):
        raise ValueError(f"expected a root key of {MIN_ROOT_KEY} or more printable characters without spaces")


def _is_loopback(host: str) -> bool:
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False
