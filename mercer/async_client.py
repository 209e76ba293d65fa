"""The client for event loops: `async with mercer.AsyncClient() as client: K = await client.run(spec)`."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Self

import httpx2
import numpy as np

from mercer.batch_flows import Pairs, fetch_batch, list_batches, submit_batch
from mercer.batch_handles import AsyncBatchHandle
from mercer.batches import Batch
from mercer.catalogue import delete_dataset, describe, fetch_dataset, list_datasets, prune_datasets
from mercer.handles import AsyncJobHandle
from mercer.jobs import Dataset, Job, Priority, State
from mercer.key_handles import AsyncKeys
from mercer.private import Plan
from mercer.private_flows import plan
from mercer.private_handles import AsyncPrivate
from mercer.progress import Progress
from mercer.specs import Spec
from mercer.submitting import RUN_HOLD_S, Options, submit, submit_many, upload_dataset
from mercer.transport import AsyncTransport, service_url
from mercer.uploads import source
from mercer.waiting import fetch_job, list_jobs, retry_dead
from mercer.webhook_clients import AsyncWebhooks


class AsyncClient:
    """As Client, with await; `mercer.as_completed` takes its handles with `async for`.

    Args:
        url: Where the service is; MERCER_URL, else http://127.0.0.1:8000.
        api_key: Who asks; MERCER_API_KEY, else nobody.
        timeout_s: For one request.
        transport: How requests are sent, such as httpx2.ASGITransport(app).
    """

    def __init__(
        self,
        url: str | None = None,
        *,
        api_key: str | None = None,
        timeout_s: float = 30.0,
        transport: httpx2.AsyncBaseTransport | None = None,
    ) -> None:
        self.url = service_url(url)
        self._transport = AsyncTransport(self.url, timeout_s, transport, api_key)
        self.datasets = AsyncDatasets(self._transport)
        self.keys = AsyncKeys(self._transport)
        self.webhooks = AsyncWebhooks(self._transport)
        self.private = AsyncPrivate(self._transport)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """See Client.close."""
        await self._transport.close()

    async def submit(
        self,
        spec: Spec,
        *,
        idempotency_key: str | None = None,
        cancel_after: str | None = None,
        priority: Priority | str | None = None,
    ) -> AsyncJobHandle:
        """See Client.submit."""
        return self._handle(await self._transport.run(submit(spec, idempotency_key, Options(cancel_after, priority))))

    async def submit_many(
        self,
        specs: Iterable[Spec],
        *,
        idempotency_key: str | None = None,
        cancel_after: str | None = None,
        priority: Priority | str | None = None,
    ) -> list[AsyncJobHandle]:
        """See Client.submit_many."""
        jobs = await self._transport.run(submit_many(specs, idempotency_key, Options(cancel_after, priority)))
        return [self._handle(job) for job in jobs]

    async def batch(
        self,
        jobs: str | os.PathLike[str] | Pairs,
        *,
        idempotency_key: str | None = None,
        cancel_after: str | None = None,
        priority: Priority | str | None = None,
    ) -> AsyncBatchHandle:
        """See Client.batch."""
        given = Path(jobs) if isinstance(jobs, str | os.PathLike) else jobs
        flow = submit_batch(given, idempotency_key, Options(cancel_after, priority))
        return AsyncBatchHandle(self._transport, await self._transport.run(flow))

    async def find_batch(self, batch_id: str) -> AsyncBatchHandle:
        """See Client.find_batch."""
        return AsyncBatchHandle(self._transport, await self._transport.run(fetch_batch(batch_id)))

    async def batches(self, *, limit: int = 20) -> list[Batch]:
        """See Client.batches."""
        return await self._transport.run(list_batches(limit))

    async def run(
        self, spec: Spec, timeout_s: float | None = None, *, progress: Progress = None
    ) -> np.ndarray[Any, Any]:
        """See Client.run."""
        job = self._handle(await self._transport.run(submit(spec, None, hold_s=RUN_HOLD_S)))
        return await job.result(timeout_s, progress=progress)

    async def plan(self, spec: Spec) -> Plan:
        """See Client.plan."""
        return await self._transport.run(plan(spec))

    async def job(self, job_id: str) -> AsyncJobHandle:
        """See Client.job."""
        return self._handle(await self._transport.run(fetch_job(job_id)))

    async def jobs(self, state: State | str | None = None, *, limit: int = 100) -> list[AsyncJobHandle]:
        """See Client.jobs."""
        return [self._handle(job) for job in await self._transport.run(list_jobs(state, limit))]

    async def retry_dead(self) -> int:
        """See Client.retry_dead."""
        return await self._transport.run(retry_dead())

    async def kinds(self) -> dict[str, Any]:
        """See Client.kinds."""
        return await self._transport.run(describe("kinds"))

    async def kernels(self) -> dict[str, Any]:
        """See Client.kernels."""
        return await self._transport.run(describe("kernels"))

    def _handle(self, record: Job) -> AsyncJobHandle:
        return AsyncJobHandle(self._transport, record)


class AsyncDatasets:
    """`client.datasets`: arrays that stay with the service, named by their digests."""

    def __init__(self, transport: AsyncTransport) -> None:
        self._transport = transport

    async def upload(self, data: str | os.PathLike[str] | np.ndarray[Any, Any]) -> Dataset:
        """See Datasets.upload."""
        return await self._transport.run(upload_dataset(source(data)))

    async def list(self) -> list[Dataset]:
        """See Datasets.list."""
        return await self._transport.run(list_datasets())

    async def get(self, digest: str) -> np.ndarray[Any, Any]:
        """See Datasets.get."""
        return await self._transport.run(fetch_dataset(digest))

    async def delete(self, digest: str) -> None:
        """See Datasets.delete."""
        await self._transport.run(delete_dataset(digest))

    async def prune(self, older_than_days: float) -> tuple[Dataset, ...]:
        """See Datasets.prune."""
        return await self._transport.run(prune_datasets(older_than_days))
