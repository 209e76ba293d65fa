"""Traces of the whole service, as a collector of OpenTelemetry gets them."""

import logging
import sys
import threading
from collections import defaultdict
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

import mercer
from deploy.local import LocalService, ask
from telemetry import tracing


@pytest.fixture
def collector():
    """A server that takes OTLP over HTTP, and the spans that it got, by name."""
    spans = defaultdict(list)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["content-length"]))
            for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
                for scope in resource.scope_spans:
                    for span in scope.spans:
                        spans[span.name].append(span)
            self.send_response(200)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, *_):
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}", spans
        server.shutdown()
        thread.join()


def attributes(holder):
    return {one.key: one.value.string_value or one.value.int_value for one in holder.attributes}


def test_a_trace_leads_from_the_request_through_the_queue_to_the_batch(collector, tmp_path):
    url, spans = collector
    environment = {"OTEL_EXPORTER_OTLP_ENDPOINT": url, "MERCER_DEVICE": "cpu", "OTEL_TRACES_SAMPLER": "always_on"}
    with LocalService(tmp_path, environment=environment, logs=tmp_path / "logs") as service:
        with mercer.Client(service.url) as client:
            job = client.submit(mercer.Gram(kernel=mercer.kernels.Gaussian(lengthscale=1.0), x=[[0.5], [0.25]]))
            job.result(60, progress=False)
        ask(service.port, "/livez")
    (request,), (sent,), (processed,) = spans["POST /v1/jobs"], spans["send jobs"], spans["process jobs"]
    assert (sent.trace_id, sent.parent_span_id) == (request.trace_id, request.span_id)
    (link,) = processed.links
    assert (link.trace_id, link.span_id) == (sent.trace_id, sent.span_id)
    assert processed.trace_id != sent.trace_id
    assert attributes(link) == {"messaging.message.id": job.id, "mercer.attempt": 1}
    assert attributes(processed)["mercer.kind"] == "gram"
    assert attributes(request)["http.route"] == "/v1/jobs"
    assert not any("livez" in name for name in spans)


def test_without_an_endpoint_there_are_no_traces(monkeypatch):
    for name in tracing.ENDPOINTS:
        monkeypatch.delenv(name, raising=False)
    assert tracing.start("service") is None


def test_without_opentelemetry_a_process_says_so_and_goes_on(monkeypatch, caplog):
    monkeypatch.setenv(tracing.ENDPOINTS[0], "http://127.0.0.1:1")
    monkeypatch.setitem(sys.modules, "opentelemetry.sdk.trace", None)
    with caplog.at_level(logging.WARNING):
        assert tracing.start("service") is None
    assert "mercer[otel]" in caplog.text
