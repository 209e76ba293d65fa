"""Prometheus metrics of one service process; no job ids, keys or data sets in labels."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Sequence
from functools import lru_cache

from prometheus_client import Counter, Histogram, generate_latest
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from mercer.errors import MercerError
from service.queue_metrics import QueueCollector
from service.webhook_metrics import WebhookMetrics
from telemetry.process import registry

BUCKETS_S = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
"""From a tiny submission to the longest hold of a long poll."""

PRIVATE_UPLOAD = ("/v1/private/{name}/data", "PUT")
"""Takes as long as there are records."""


class Metrics:
    """What /metrics shows.

    Args:
        max_queued: How many jobs may wait.
    """

    def __init__(self, max_queued: int) -> None:
        self.registry = registry("service")
        self.queue = QueueCollector(max_queued)
        self.registry.register(self.queue)
        self.webhooks = WebhookMetrics(self.registry)
        admitted = Counter("mercer_jobs_admitted", "Jobs queued by this process.", ["kind"], registry=self.registry)
        self.replayed = Counter(
            "mercer_jobs_replayed", "Submissions answered by an earlier job of the same key.", registry=self.registry
        )
        refused = Counter(
            "mercer_jobs_refused", "Jobs not admitted, by the code of the problem.", ["reason"], registry=self.registry
        )
        self._refusals = lru_cache(maxsize=100)(refused.labels)
        requests = Histogram(
            "mercer_http_request_duration_seconds",
            "Requests by route, method and status, until the last byte.",
            ["route", "method", "status"],
            buckets=BUCKETS_S,
            registry=self.registry,
        )
        # Looking a label set up costs more than observing it.
        self._series = lru_cache(maxsize=1_000)(requests.labels)
        self._kinds = lru_cache(maxsize=1_000)(admitted.labels)

    def observe(self, route: str, method: str, status: int, seconds: float) -> None:
        """Count one request; without its duration, where that would tell how large private data are."""
        self._series(route, method, str(status)).observe(0.0 if (route, method) == PRIVATE_UPLOAD else seconds)

    def count(self, kinds: Sequence[str], replayed: int) -> None:
        """Count the jobs of one submission."""
        for kind in set(kinds):
            self._kinds(kind).inc(kinds.count(kind))
        if replayed:
            self.replayed.inc(replayed)

    def refused(self, error: MercerError, jobs: int) -> None:
        """Count jobs that were not admitted."""
        self._refusals(error.code).inc(jobs)

    def text(self) -> bytes:
        """In Prometheus's text format."""
        return generate_latest(self.registry)


class MeasureRequests:
    """ASGI middleware that counts requests by the template of their route."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request and observe it."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        status = 500
        started = time.perf_counter()

        def noting(message: Message) -> Awaitable[None]:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            return send(message)

        try:
            await self._app(scope, receive, noting)
        finally:
            route = getattr(scope.get("route"), "path", "unknown")
            self._metrics.observe(route, scope["method"], status, time.perf_counter() - started)
