"""`python -m workers`: one worker process, until SIGTERM or SIGINT drains it."""

from __future__ import annotations

import logging
import sys
from contextlib import suppress
from functools import partial

from pydantic import ValidationError
from threadpoolctl import threadpool_limits

from broker.worker_broker import WorkerBroker
from gpu.device import Device, pick
from gpu.warm import warm
from mercer.errors import Unavailable
from store.datasets import Datasets
from store.local import LocalObjects
from store.results import Results
from store.usage import used_bytes
from telemetry import logs
from telemetry.tracing import start
from workers.batch import Bench
from workers.drain import Drain
from workers.heartbeat import Heartbeat
from workers.metrics import Metrics
from workers.patience import patiently
from workers.settings import Settings
from workers.worker import Worker

log = logging.getLogger("workers")


def main() -> int:
    """Work until a signal.

    Returns:
        2 when the settings are not valid, else 0.
    """
    try:
        settings = Settings()
    except ValidationError as error:
        for fault in error.errors():
            sys.stderr.write(f"MERCER_{'_'.join(str(step) for step in fault['loc']).upper()}: {fault['msg']}\n")
        return 2
    logs.configure(settings.log_format)
    drain = Drain(settings.drain_s)
    drain.on_signals()
    work(settings, drain)
    return 0


def work(settings: Settings, drain: Drain) -> None:
    """Warm up, then take batches until the drain begins."""
    device = pick() if settings.device == "auto" else Device(settings.device)
    warm(device)
    # The operations run their own threads, each of which calls BLAS: more threads inside those only wait for a core.
    threadpool_limits(1, user_api="blas")
    objects = LocalObjects(settings.data_dir)
    bench = Bench(Datasets(objects, max_bytes=0), Results(objects), device)
    tracing = start("worker")
    metrics = Metrics(device, partial(used_bytes, objects))
    if settings.metrics_port is not None:
        port = metrics.serve(settings.metrics_host, settings.metrics_port).server_port
        log.info("metrics are on http://%s:%d/metrics", settings.metrics_host, port)
    broker = patiently(lambda: connected(settings), until=lambda: drain.begun)
    if broker is None:
        return
    name = settings.worker_name
    with Heartbeat(broker, worker=name, device=device.name, lease_s=settings.lease_s, metrics=metrics) as heartbeat:
        log.info("worker %s is ready on %s", name, device.name)
        Worker(
            broker,
            bench,
            heartbeat,
            drain,
            metrics,
            tracing,
            name=name,
            batch_jobs=settings.batch_jobs,
            batch_bytes=settings.batch_bytes,
            result_ttl_s=settings.result_ttl_s,
        ).run()
    if tracing is not None:
        tracing.close()
    with suppress(Unavailable):  # it is forgotten by itself, later
        broker.retire(name)


def connected(settings: Settings) -> WorkerBroker:
    """The queue.

    Raises:
        Unavailable: Redis does not answer.
    """
    return WorkerBroker.connect(
        settings.redis_url,
        namespace=settings.namespace,
        lease_ms=round(1e3 * settings.lease_s),
        result_ttl_s=settings.result_ttl_s,
        linger_ms=settings.linger_ms,
    )


if __name__ == "__main__":
    sys.exit(main())
