"""How many requests a second one API key may send, over all processes of the service together.

A process leases tokens from Redis in blocks, so that most requests only count down a number.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections import defaultdict
from dataclasses import dataclass, field

from broker.service_broker import ServiceBroker
from mercer.errors import RateLimited, Unavailable

BLOCK_S = 0.05
"""Of the rate, in one block: a busy key asks Redis twenty times a second in each process."""

LEASE_S = 1.0
"""After which tokens that were not used are lost: an idle process hoards none."""

PATIENCE_S = 0.25
"""For Redis: a limit that cannot be looked up holds nobody up, since what needs Redis is refused anyway."""


@dataclass(slots=True)
class _Bucket:
    """What this process may spend of a key's tokens."""

    tokens: int = 0
    until_s: float = 0.0
    """The tokens are lost then."""
    empty_until_s: float = 0.0
    """Redis has none before then."""
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)

    def spend(self, now_s: float) -> bool:
        """Whether there was a token."""
        if self.tokens <= 0 or now_s >= self.until_s:
            return False
        self.tokens -= 1
        return True


class RateLimits:
    """The buckets of all keys that this process has seen.

    Args:
        broker: Has the buckets that all processes share.
        rate: Requests a second that one key may send on average.
        burst: How many it may send at once after a rest.
    """

    def __init__(self, broker: ServiceBroker, rate: float, burst: int) -> None:
        self._broker = broker
        self._rate = rate
        self._burst = burst
        self._block = max(1, min(burst // 4, round(rate * BLOCK_S)))
        self._buckets: defaultdict[str, _Bucket] = defaultdict(_Bucket)

    async def spend(self, key: str) -> None:
        """Count one request.

        Raises:
            RateLimited: the key has sent too many.
        """
        bucket = self._buckets[key]
        if not bucket.spend(time.monotonic()):
            await self._lease(key, bucket)

    async def _lease(self, key: str, bucket: _Bucket) -> None:
        async with bucket.lock:  # those who waited find what the first of them leased
            if bucket.spend(time.monotonic()):
                return
            if time.monotonic() >= bucket.empty_until_s:
                await self._fill(key, bucket)
            now_s = time.monotonic()
            if not bucket.spend(now_s):
                limit = f"{self._rate:g} requests a second with one key, {self._burst:,} at once"
                wait_s = max(1, math.ceil(bucket.empty_until_s - now_s))
                raise RateLimited(f"expected at most {limit}, got more", retry_after_s=wait_s)

    async def _fill(self, key: str, bucket: _Bucket) -> None:
        try:
            async with asyncio.timeout(PATIENCE_S):
                leased, wait_ms = await self._broker.lease_tokens(key, self._rate, self._burst, self._block)
        except (Unavailable, TimeoutError):
            leased, wait_ms = self._block, 0
        now_s = time.monotonic()
        bucket.tokens, bucket.until_s, bucket.empty_until_s = leased, now_s + LEASE_S, now_s + wait_ms / 1000
