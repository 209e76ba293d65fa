"""Traces across HTTP, the queue and the workers, where OpenTelemetry is installed and told where to send them.

Its own OTEL_* variables say how: without OTEL_EXPORTER_OTLP_ENDPOINT there are none, and they cost nothing. Spans name
jobs and kinds and hold no data. A worker's span is linked to those of the submissions, not their child, because a batch
has many of them.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, NamedTuple

from telemetry.process import release

if TYPE_CHECKING:
    from opentelemetry.trace import Link

ENDPOINTS = ("OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT")

log = logging.getLogger(__name__)


class Delivery(NamedTuple):
    """One job of a claimed batch."""

    job_id: str
    attempt: int
    traceparent: str


def start(component: str) -> Tracing | None:
    """The traces of one process; None where nobody asked for them, or OpenTelemetry is missing."""
    if not any(os.environ.get(name) for name in ENDPOINTS):
        return None
    try:
        return Tracing(component)
    except ImportError as error:
        log.warning("no traces: %s is set, but %s is missing; pip install 'mercer[otel]'", ENDPOINTS[0], error.name)
        return None


class Tracing:
    """Makes spans and sends them from a thread of its own.

    Args:
        component: `service` or `worker`.

    Raises:
        ImportError: OpenTelemetry is not installed.
    """

    def __init__(self, component: str) -> None:
        from opentelemetry import trace
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.trace import TracerProvider
        from opentelemetry.sdk.trace.export import BatchSpanProcessor
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

        name = os.environ.get("OTEL_SERVICE_NAME", f"mercer-{component}")
        self._provider = TracerProvider(resource=Resource.create({"service.name": name, "service.version": release()}))
        self._provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
        self._tracer = self._provider.get_tracer("mercer")
        self._trace = trace
        self._carried = TraceContextTextMapPropagator()

    @contextmanager
    def request(self, method: str, headers: Mapping[str, str]) -> Iterator[dict[str, str | int]]:
        """A request is served inside the block, which fills in `route` and `status`."""
        context = self._carried.extract(dict(headers))
        kind = self._trace.SpanKind.SERVER
        with self._tracer.start_as_current_span(method, context, kind, record_exception=False) as span:
            seen: dict[str, str | int] = {}
            try:
                yield seen
            finally:
                span.update_name(f"{method} {seen.get('route', 'unknown')}")
                span.set_attributes(
                    {
                        "http.request.method": method,
                        "http.route": seen.get("route", "unknown"),
                        "http.response.status_code": seen.get("status", 500),
                    }
                )

    @contextmanager
    def sending(self, n_jobs: int) -> Iterator[str]:
        """Jobs are queued inside the block; gives the traceparent that they carry."""
        attributes: dict[str, str | int] = {"messaging.system": "redis", "messaging.batch.message_count": n_jobs}
        kind = self._trace.SpanKind.PRODUCER
        with self._tracer.start_as_current_span("send jobs", kind=kind, attributes=attributes, record_exception=False):
            carrier: dict[str, str] = {}
            self._carried.inject(carrier)
            yield carrier["traceparent"]

    @contextmanager
    def processing(self, kind: str, jobs: Iterable[Delivery]) -> Iterator[None]:
        """A batch is run inside the block."""
        links = [self._link(job) for job in jobs]
        attributes: dict[str, str | int] = {
            "messaging.system": "redis",
            "messaging.batch.message_count": len(links),
            "mercer.kind": kind,
        }
        with self._tracer.start_as_current_span(
            "process jobs",
            kind=self._trace.SpanKind.CONSUMER,
            links=links,
            attributes=attributes,
            record_exception=False,
        ):
            yield

    def close(self) -> None:
        """Send what is left."""
        self._provider.shutdown()

    def _link(self, job: Delivery) -> Link:
        producer = self._trace.get_current_span(self._carried.extract({"traceparent": job.traceparent}))
        attributes: dict[str, str | int] = {"messaging.message.id": job.job_id, "mercer.attempt": job.attempt}
        return self._trace.Link(producer.get_span_context(), attributes)
