"""What routes work with, made once by create_app and reached through the request."""

from __future__ import annotations

from asyncio import Semaphore
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends
from starlette.requests import Request

from broker.service_broker import ServiceBroker
from service.admission import Admission
from service.admitting import Admitter
from service.desk import Desk
from service.door import Door
from service.draining import Draining
from service.keyring import Keyring
from service.metrics import Metrics
from service.quota import Quota
from service.room import Room
from service.sending import Sender
from service.settings import Settings
from service.spending import Spending
from service.threads import Threads
from store.batches import BatchFiles
from store.datasets import Datasets
from store.keys import ApiKeys
from store.private import PrivateDatasets
from store.releases import Releases
from store.results import Results
from store.webhooks import Registrations


@dataclass(frozen=True)
class Parts:
    """The service's own parts and those it was given."""

    settings: Settings
    broker: ServiceBroker
    datasets: Datasets
    results: Results
    batches: BatchFiles
    keys: ApiKeys
    keyring: Keyring | None
    """None where no keys are asked for."""
    quota: Quota
    registrations: Registrations
    admission_of: Callable[[str], Admission]
    """That of a tenant."""
    desk: Desk
    spending: Spending
    """Budgets of private data sets."""
    private: PrivateDatasets
    releases: Releases
    door: Door
    admitter: Admitter
    sender: Sender
    draining: Draining
    metrics: Metrics
    room: Room
    """Memory for the bodies of requests."""
    threads: Threads
    """For uploads."""
    conversions: Semaphore
    """Processes that read CSV and Parquet."""


async def parts_of(request: Request) -> Parts:
    """The parts of the app that serves this request."""
    parts: Parts = request.app.state.parts
    return parts


PartsDep = Annotated[Parts, Depends(parts_of)]
