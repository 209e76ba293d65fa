"""How the deliveries of webhooks go, as /metrics shows it."""

from __future__ import annotations

from collections.abc import Iterable

from prometheus_client import CollectorRegistry, Histogram
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from broker.webhooks import HookDepth

BUCKETS_S = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20)
"""From a receiver nearby to the timeout."""


class WebhookMetrics(Collector):
    """What this process sent, and what was seen last of all deliveries: take max() of that over the processes.

    Args:
        registry: Where they are shown.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        self._attempts = Histogram(
            "mercer_webhook_attempt_duration_seconds",
            "Attempts to deliver by their outcome: delivered, failed (tried again) or abandoned.",
            ["outcome"],
            buckets=BUCKETS_S,
            registry=registry,
        )
        self.seen: HookDepth | None = None
        """None while Redis does not answer."""
        registry.register(self)

    def observe(self, outcome: str, seconds: float) -> None:
        """Count one attempt."""
        self._attempts.labels(outcome).observe(seconds)

    def collect(self) -> Iterable[Metric]:
        """All families, those without a value too."""
        waiting = GaugeMetricFamily("mercer_webhook_deliveries_waiting", "Deliveries that wait for an attempt.")
        oldest = GaugeMetricFamily(
            "mercer_webhook_oldest_due_seconds",
            "For how long a delivery has been due at an endpoint that does not fail.",
        )
        failing = GaugeMetricFamily("mercer_webhook_failing_endpoints", "Endpoints at which deliveries wait and fail.")
        lost = CounterMetricFamily("mercer_webhook_events_undelivered", "Events given up, or dropped at the bound.")
        if self.seen is not None:
            waiting.add_metric([], self.seen.waiting)
            oldest.add_metric([], self.seen.oldest_ms / 1000)
            failing.add_metric([], self.seen.failing)
            lost.add_metric([], self.seen.undelivered)
        yield from (waiting, oldest, failing, lost)
