"""The HTTP service: routes over the broker and the store. It computes nothing and keeps nothing."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import cache, lru_cache
from typing import Any

from fastapi import FastAPI
from starlette.concurrency import run_in_threadpool
from starlette.types import ASGIApp, Receive, Scope, Send

from broker.service_broker import ServiceBroker
from service import batches as batch_routes
from service import catalogue, datasets, events, health, jobs, openapi, plans, problems, results
from service import keys as key_routes
from service import private as private_routes
from service import webhooks as webhook_routes
from service.admission import Admission
from service.admitting import Admitter
from service.desk import Desk
from service.door import Door
from service.draining import Draining
from service.egress import AddressGuard, Egress
from service.front import Front
from service.guard import Guard
from service.keyring import Keyring
from service.metrics import MeasureRequests, Metrics
from service.parts import Parts
from service.quota import Quota
from service.rates import RateLimits
from service.room import Room
from service.scopes import protect
from service.sending import Sender
from service.settings import Settings
from service.spending import Spending
from service.threads import Threads
from service.tracing import TraceRequests
from service.upkeep import Upkeep
from store.batches import BatchFiles
from store.datasets import Datasets
from store.keys import ApiKeys
from store.ledger import Database, Ledger
from store.objects import Objects
from store.private import PrivateDatasets
from store.releases import Releases
from store.results import Results
from store.webhooks import Registrations
from telemetry.tracing import Tracing

DESCRIPTION = "Kernel computation as a service: submit a job, get the matrix. docs/02-http.md has examples."

TENANTS_KEPT = 1_000

FRONT = (*jobs.front.routes, *results.front.routes)

# In the order of use: a request is compared with one route after another.
ROUTERS = (
    jobs.front,
    results.front,
    jobs.router,
    results.router,
    events.router,
    datasets.router,
    private_routes.router,
    plans.router,
    batch_routes.router,
    key_routes.router,
    webhook_routes.router,
    catalogue.router,
    health.router,
)


class Service(FastAPI):
    """FastAPI with nothing of its own or Starlette's in the way to what serves requests."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http" or self.middleware_stack is None:
            await super().__call__(scope, receive, send)
            return
        scope["app"] = self
        await self.middleware_stack(scope, receive, send)


def create_app(settings: Settings, broker: ServiceBroker, objects: Objects, tracing: Tracing | None = None) -> FastAPI:
    """The service over what it is given; closes the broker and the traces when it ends."""

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        app.state.parts.admitter.wake()  # for what a process that died left behind
        app.state.parts.sender.wake()
        async with Upkeep(broker):
            yield
        app.state.parts.draining.start()
        await app.state.parts.admitter.close()
        await app.state.parts.sender.close()
        await broker.close()
        if tracing is not None:
            await run_in_threadpool(tracing.close)

    app = bare_app(lifespan=lifespan)
    metrics = Metrics(settings.max_queued)
    addresses = AddressGuard(settings.webhooks_allow_http, settings.webhooks_allow_private)
    datasets, batches, keys = Datasets(objects, settings.max_upload_bytes), BatchFiles(objects), ApiKeys(objects)
    private, releases = PrivateDatasets(objects, settings.max_upload_bytes), Releases(objects)
    registrations = Registrations(objects)
    spending = Spending(cache(lambda: Ledger(Database(settings.ledger), objects)), private, releases)

    def admission_of(tenant: str) -> Admission:
        return Admission(datasets.of(tenant).known, spending.public(tenant), settings, tenant)

    def stored_bytes(tenant: str) -> int:
        return datasets.of(tenant).used_bytes() + private.of(tenant).counted_bytes()

    app.state.parts = parts = Parts(
        settings=settings,
        broker=broker,
        datasets=datasets,
        results=Results(objects),
        batches=batches,
        keys=keys,
        keyring=Keyring(keys, settings.root) if settings.root else None,
        quota=Quota(stored_bytes, settings.max_tenant_bytes),
        registrations=registrations,
        admission_of=lru_cache(TENANTS_KEPT)(admission_of),
        spending=spending,
        private=private,
        releases=releases,
        desk=Desk(),
        door=Door(broker, tracing),
        admitter=Admitter(broker, batches),
        sender=Sender(broker.webhooks, registrations, Egress(addresses), metrics.webhooks),
        draining=Draining(),
        metrics=metrics,
        room=Room(settings.max_bodies_bytes),
        threads=Threads(),
        conversions=asyncio.Semaphore(settings.max_conversions),
    )
    front: ASGIApp = Front(app.build_middleware_stack(), FRONT)
    if parts.keyring is not None:
        front = Guard(front, parts.keyring, RateLimits(broker, settings.key_rate, settings.key_burst))
    front = MeasureRequests(front, parts.metrics)
    app.middleware_stack = front if tracing is None else TraceRequests(front, tracing)
    return app


def bare_app(**options: Any) -> FastAPI:
    """The routes alone: enough to describe them."""
    app = Service(
        title="Mercer",
        version="1",
        description=DESCRIPTION,
        openapi_url=None,  # its own route below, for a document that also shows the raw routes
        docs_url=None,  # its page loads scripts from elsewhere
        redoc_url=None,
        telemetry={"tracing": False, "metrics": False, "logs": False},  # looking for it costs every request 6 us
        **options,
    )
    for router in ROUTERS:
        # Not include_router, whose own matching costs every request 25 us more.
        app.router.routes.extend(router.routes)
    problems.install(app)
    described = cache(lambda: openapi.describe(app))

    @app.get("/openapi.json", include_in_schema=False)
    async def show_openapi() -> dict[str, Any]:
        return described()

    protect(app.router.routes)
    return app
