"""Whether the server has each job on its disk before it answers, and what it promises where it has not.

WAITAOF is never asked: some builds of Valkey answer it before the disk has anything.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from typing import Any

from redis import Redis
from redis.exceptions import ResponseError

from broker.faults import UnsuitableRedis, client, translated
from broker.keys import tag

PROMISES = {
    "always": "jobs that were accepted survive kill -9 and a power cut",
    "everysec": "jobs that were accepted survive kill -9; a power cut may lose those of the last second or so",
    "no": "jobs that were accepted survive kill -9; a power cut loses what the disk has not got, a second of it where "
    "Mercer started the server",
}
"""By appendfsync."""

HOW = (
    "start it with: appendonly yes, appendfsync always, no-appendfsync-on-rewrite no, maxmemory-policy noeviction; or "
    "unset MERCER_REQUIRE_DURABLE and accept that a power cut loses jobs"
)
UNSEEN = (
    "this server forbids CONFIG GET, so that nobody can see whether it fsyncs each write before it answers. If its "
    "provider says that a write that was answered survives a power cut, set MERCER_TRUST_DURABILITY=true; else "
)

PROBE_MS = 10_000

log = logging.getLogger(__name__)


def require_durable(url: str, namespace: str, *, trusted: bool = False) -> None:
    """Refuse a server that may lose an accepted job when the power is cut.

    Args:
        url: redis://, rediss:// or unix://.
        namespace: What all keys begin with.
        trusted: Believe the provider of a server that forbids CONFIG GET.

    Raises:
        UnsuitableRedis: It may, or it cannot be seen.
        Unavailable: It does not answer.
    """
    with translated(), client(url) as server:
        configured = _configured(server)
        if configured is None and trusted:
            log.warning("MERCER_TRUST_DURABILITY: what this server's provider says of its durability is believed")
            return
        if configured is None:
            raise UnsuitableRedis(UNSEEN + HOW)
        if faults := [*_faults(configured, server.info("everything")), *_unwritten(server, namespace)]:
            raise UnsuitableRedis(f"MERCER_REQUIRE_DURABLE: {'; '.join(faults)}: {HOW}")
        log.info("%s", PROMISES["always"])


def tell_promise(url: str) -> None:
    """Log what a restart and a power cut leave of accepted jobs, where it can be seen.

    Raises:
        Unavailable: The server does not answer.
    """
    with translated(), client(url) as server:
        configured = _configured(server) or {}
    if configured.get("appendonly") == "yes":
        log.info("%s (appendfsync %s)", PROMISES[configured["appendfsync"]], configured["appendfsync"])


def file_fault(info: Mapping[str, Any]) -> str | None:
    """What is wrong with the append-only file now, as INFO persistence tells it; a failed fsync is a failed write."""
    if str(info.get("loading", "0")) != "0":
        return "the queue reads its append-only file: it was just started"
    if info.get("aof_last_write_status", "ok") != "ok":
        return "the queue cannot write its append-only file: its disk is full or broken"
    return None


def fields_of_info(text: bytes) -> dict[str, str]:
    """What the server answers to INFO, by field."""
    return dict(line.split(":", 1) for line in text.decode().splitlines() if ":" in line)


def _configured(server: Redis) -> dict[str, str] | None:
    try:
        found = server.config_get("append*", "no-appendfsync-on-rewrite")
        return {str(name): str(value) for name, value in found.items()}
    except ResponseError:  # forbidden, renamed or unknown
        return None


def _faults(configured: Mapping[str, str], info: Mapping[str, Any]) -> Iterator[str]:
    wanted = {"appendonly": "yes", "appendfsync": "always", "no-appendfsync-on-rewrite": "no"}
    for name, value in wanted.items():
        if (got := configured.get(name)) != value:
            yield f"expected {name} {value}, got {got}"
    if (policy := info["maxmemory_policy"]) != "noeviction":
        yield f"expected maxmemory-policy noeviction, got {policy}"
    if fault := file_fault(info):
        yield fault


def _unwritten(server: Redis, namespace: str) -> Iterator[str]:
    """Write something, and see that the file has grown: what is configured may not be what happens."""
    before = server.info("persistence").get("aof_current_size", 0)
    server.set(f"{tag(namespace)}probe", "1", px=PROBE_MS)
    if server.info("persistence").get("aof_current_size", 0) == before:  # a rewrite would have made it smaller
        yield "a write was answered and the append-only file did not grow"
