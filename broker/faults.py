"""What Redis' own errors mean to the rest of Mercer, and which servers are refused."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import redis
from redis.backoff import ExponentialBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import OutOfMemoryError, ReadOnlyError, RedisError, ResponseError
from redis.exceptions import TimeoutError as RedisTimeoutError
from redis.retry import Retry

from mercer.errors import Unavailable

AWAY = (RedisConnectionError, RedisTimeoutError, OSError)
"""Redis did not answer: the same command may be sent again."""

SOCKET_TIMEOUT_S = 5.0
RETRIES = 3
"""Of a command whose connection broke, over about 0.4 s: a server that restarts on its data is back in 0.1 s."""

RETRY_AFTER_S = 1

MIN_VERSION = (7, 0)
"""Script flags, ZADD LT in effect replication and XREADGROUP inside scripts."""

_CANNOT_WRITE = ("MISCONF", "NOREPLICAS", "MASTERDOWN", "CLUSTERDOWN", "BUSY ", "UNBLOCKED")

log = logging.getLogger(__name__)


class UnsuitableRedis(RuntimeError):
    """The server would lose jobs, or lacks a command that the queue needs."""


def unavailable(error: Exception) -> Unavailable | None:
    """The error for the rest of Mercer when Redis cannot serve now; None when the fault is ours."""
    if isinstance(error, AWAY):
        return Unavailable(f"the queue does not answer: {error}", retry_after_s=RETRY_AFTER_S)
    if isinstance(error, OutOfMemoryError):
        return Unavailable("the queue has no memory left: finished jobs free it", retry_after_s=RETRY_AFTER_S)
    if isinstance(error, ReadOnlyError) or (isinstance(error, ResponseError) and str(error).startswith(_CANNOT_WRITE)):
        return Unavailable(f"the queue accepts no writes: {error}", retry_after_s=RETRY_AFTER_S)
    return None


@contextmanager
def translated() -> Iterator[None]:
    """Raise Unavailable where Redis cannot serve now.

    Raises:
        Unavailable: Redis is away, full or read-only.
    """
    try:
        yield
    except (RedisError, OSError) as error:
        meaning = unavailable(error)
        if meaning is None:
            raise
        raise meaning from error


def check_server(url: str) -> None:
    """Refuse a server that would lose jobs; warn of one that forgets them when it restarts.

    Raises:
        UnsuitableRedis: It evicts keys, or is too old.
        Unavailable: It does not answer.
    """
    with translated(), client(url) as server:
        check_info(server.info("everything"))


def client(url: str) -> redis.Redis:
    """A client that neither waits for long nor gives up at once; redis-py's own tries ten times."""
    return redis.Redis.from_url(
        url,
        socket_timeout=SOCKET_TIMEOUT_S,
        socket_connect_timeout=SOCKET_TIMEOUT_S,
        retry=Retry(ExponentialBackoff(cap=0.5, base=0.05), RETRIES),
    )


def check_info(info: Mapping[str, Any]) -> None:
    """Judge what INFO says.

    Raises:
        UnsuitableRedis: The server evicts keys, or is too old.
    """
    version = str(info["redis_version"])
    if tuple(map(int, version.split(".")[:2])) < MIN_VERSION:
        raise UnsuitableRedis(f"Redis 7.0 or Valkey 7.2 is needed, this server speaks {version}")
    policy = info["maxmemory_policy"]
    if info["maxmemory"] and policy != "noeviction":
        raise UnsuitableRedis(f"maxmemory-policy must be noeviction, it is {policy}: this server would delete jobs")
    if not info["aof_enabled"]:
        log.warning("appendonly is off: queued jobs and records are lost when this Redis restarts")
