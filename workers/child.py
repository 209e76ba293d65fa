"""The process that works: everything that a batch needs is made here, once, and never in its parent."""

from __future__ import annotations

import logging
from contextlib import suppress
from functools import partial

from threadpoolctl import threadpool_limits

from broker.worker_broker import WorkerBroker
from gpu.device import Device, pick
from gpu.warm import warm
from mercer.errors import Unavailable
from store.datasets import Datasets
from store.opening import open_objects
from store.private import PrivateDatasets
from store.releases import Releases
from store.results import Results
from store.usage import used_bytes
from telemetry.tracing import start
from workers.batch import Bench
from workers.crashes import Crashes
from workers.drain import Drain
from workers.heartbeat import Heartbeat
from workers.leases import HeldLease
from workers.loading import Shelves
from workers.memory import limit
from workers.metrics import Metrics
from workers.patience import patiently
from workers.settings import Settings
from workers.worker import Worker

log = logging.getLogger(__name__)


def work(settings: Settings, drain: Drain, held: HeldLease, crashes: Crashes) -> None:
    """Warm up, then take batches until the drain begins.

    Args:
        settings: Of the worker.
        drain: Says when to end.
        held: Where the parent looks for the lease when this process was killed.
        crashes: Of the processes before this one.

    Raises:
        UnsuitableStore: the store that the settings name cannot be used.
    """
    open_store = partial(open_objects, settings.store_url, settings.data_dir, settings.cache_bytes)
    objects = patiently(open_store, until=lambda: drain.begun)
    if objects is None:
        return
    device = pick() if settings.device == "auto" else Device(settings.device)
    warm(device)
    # The operations run their own threads, each of which calls BLAS: more threads inside those only wait for a core.
    threadpool_limits(1, user_api="blas")
    memory_bytes = limit(settings.worker_memory_bytes)
    shelves = Shelves(Datasets(objects, 0), PrivateDatasets(objects, 0), Releases(objects))
    bench = Bench(shelves, Results(objects), device, memory_bytes)
    tracing = start("worker")
    metrics = Metrics(device, partial(used_bytes, objects))
    metrics.follow(crashes)
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
            held,
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
