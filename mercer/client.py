"""The blocking client: `with mercer.Client() as client: K = client.submit(spec).result()`."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Self

import httpx2
import numpy as np

from mercer.batch_flows import Pairs, fetch_batch, list_batches, submit_batch
from mercer.batch_handles import BatchHandle
from mercer.batches import Batch
from mercer.catalogue import delete_dataset, describe, fetch_dataset, list_datasets, prune_datasets
from mercer.handles import JobHandle
from mercer.jobs import Dataset, Job, Priority, State
from mercer.key_handles import Keys
from mercer.private import Plan
from mercer.private_flows import plan
from mercer.private_handles import Private
from mercer.progress import Progress
from mercer.specs import Spec
from mercer.submitting import RUN_HOLD_S, Options, submit, submit_many, upload_dataset
from mercer.transport import SyncTransport, service_url
from mercer.uploads import source
from mercer.waiting import fetch_job, list_jobs, retry_dead
from mercer.webhook_clients import Webhooks


class Client:
    """A connection to the service.

    Client()                            # MERCER_URL, else http://127.0.0.1:8000
    Client("https://host", timeout_s=5) # give up on one request after 5 s; waiting for jobs is not counted

    A request that fails for a reason that may pass is sent twice more; with every submission goes a key by which
    the service knows it again. Threads may share a client.

    Args:
        url: Where the service is.
        api_key: Who asks; MERCER_API_KEY, else nobody.
        timeout_s: For one request.
        transport: How requests are sent, such as httpx2.HTTPTransport(uds="/run/mercer.sock").
    """

    def __init__(
        self,
        url: str | None = None,
        *,
        api_key: str | None = None,
        timeout_s: float = 30.0,
        transport: httpx2.BaseTransport | None = None,
    ) -> None:
        self.url = service_url(url)
        self._transport = SyncTransport(self.url, timeout_s, transport, api_key)
        self.datasets = Datasets(self._transport)
        self.keys = Keys(self._transport)
        self.webhooks = Webhooks(self._transport)
        self.private = Private(self._transport)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections; jobs go on."""
        self._transport.close()

    def submit(
        self,
        spec: Spec,
        *,
        idempotency_key: str | None = None,
        cancel_after: str | None = None,
        priority: Priority | str | None = None,
    ) -> JobHandle:
        """Queue a job; arrays of more than 1,000 numbers are uploaded first, unless the service has them.

        Args:
            spec: Such as mercer.Gram(...).
            idempotency_key: With the same key and spec, the same job is returned, for as long as keys are kept.
            cancel_after: Such as "30s", "10m" or "2h": a job that has not ended then is stopped.
            priority: high, normal (usual) or low: which jobs go first.

        Raises:
            InvalidSpec: with the fields at fault; see mercer.errors for what else.
        """
        return self._handle(self._transport.run(submit(spec, idempotency_key, Options(cancel_after, priority))))

    def submit_many(
        self,
        specs: Iterable[Spec],
        *,
        idempotency_key: str | None = None,
        cancel_after: str | None = None,
        priority: Priority | str | None = None,
    ) -> list[JobHandle]:
        """Queue many jobs in few requests, each distinct array uploaded once; collect them with `as_completed`.

        The specs may come from a generator. An array that several share must not be changed meanwhile.

        Raises:
            InvalidSpec: pointers begin with the number of the spec, such as /jobs/3/kernel.
        """
        jobs = self._transport.run(submit_many(specs, idempotency_key, Options(cancel_after, priority)))
        return [self._handle(job) for job in jobs]

    def batch(
        self,
        jobs: str | os.PathLike[str] | Pairs,
        *,
        idempotency_key: str | None = None,
        cancel_after: str | None = None,
        priority: Priority | str | None = None,
    ) -> BatchHandle:
        """Submit up to 50,000 jobs as one batch, checked whole before the first is queued.

        Args:
            jobs: A file of lines {"custom_id": ..., "spec": {...}}, or (custom_id, spec) pairs; arrays of more than
                1,000 numbers in these, and many small ones stacked, are uploaded first.
            idempotency_key: With the same key and jobs, the same batch is returned, for as long as keys are kept.
            cancel_after: Such as "30s", "10m" or "2h": jobs that have not ended then are stopped.
            priority: high, normal or low (usual): which jobs go first.

        Raises:
            InvalidSpec: pointers begin with the number of the line from 1, such as /lines/17/spec/kernel.
        """
        given = Path(jobs) if isinstance(jobs, str | os.PathLike) else jobs
        flow = submit_batch(given, idempotency_key, Options(cancel_after, priority))
        return BatchHandle(self._transport, self._transport.run(flow))

    def find_batch(self, batch_id: str) -> BatchHandle:
        """The handle of a batch that was submitted before.

        Raises:
            UnknownBatch: no batch has this id, or no longer.
        """
        return BatchHandle(self._transport, self._transport.run(fetch_batch(batch_id)))

    def batches(self, *, limit: int = 20) -> list[Batch]:
        """The latest batches, the newest first; 100 at most."""
        return self._transport.run(list_batches(limit))

    def run(self, spec: Spec, timeout_s: float | None = None, *, progress: Progress = None) -> np.ndarray[Any, Any]:
        """Submit a job and return its result, in one round trip when both are small.

        Raises:
            InvalidSpec: with the fields at fault.
            JobFailed: or JobCancelled, JobExpired, JobDead: it ended without a result, and why.
            WaitTimeout: it had not finished after `timeout_s` seconds; it goes on.
        """
        job = self._handle(self._transport.run(submit(spec, None, hold_s=RUN_HOLD_S)))
        return job.result(timeout_s, progress=progress)

    def plan(self, spec: Spec) -> Plan:
        """What a job would take, and a release cost, before anything runs or is spent.

        Raises:
            InvalidSpec: with the fields at fault.
        """
        return self._transport.run(plan(spec))

    def job(self, job_id: str) -> JobHandle:
        """The handle of a job that was submitted before.

        Raises:
            UnknownJob: no job has this id, or no longer.
        """
        return self._handle(self._transport.run(fetch_job(job_id)))

    def jobs(self, state: State | str | None = None, *, limit: int = 100) -> list[JobHandle]:
        """The latest jobs, the newest first, of one state or of all."""
        return [self._handle(job) for job in self._transport.run(list_jobs(state, limit))]

    def retry_dead(self) -> int:
        """Queue all jobs again that were given up, which `jobs("dead")` lists; how many they were."""
        return self._transport.run(retry_dead())

    def kinds(self) -> dict[str, Any]:
        """The kinds of jobs that the service runs, with their JSON schemas and limits."""
        return self._transport.run(describe("kinds"))

    def kernels(self) -> dict[str, Any]:
        """The kernel functions that the service knows, with their formulas and JSON schemas."""
        return self._transport.run(describe("kernels"))

    def _handle(self, record: Job) -> JobHandle:
        return JobHandle(self._transport, record)


class Datasets:
    """`client.datasets`: arrays that stay with the service, named by their digests."""

    def __init__(self, transport: SyncTransport) -> None:
        self._transport = transport

    def upload(self, data: str | os.PathLike[str] | np.ndarray[Any, Any]) -> Dataset:
        """Upload an .npy, .csv or .parquet file, or an array; one that is known moves no bytes.

        The file is read twice, piece by piece: once for its digest. For an array larger than memory pass a
        np.memmap, or its .npy file.

        Raises:
            InvalidArray: NaN or infinity, text or missing values, not (n, d).
            UnsupportedFormat: another kind of file.
        """
        return self._transport.run(upload_dataset(source(data)))

    def list(self) -> list[Dataset]:
        """All of them."""
        return self._transport.run(list_datasets())

    def get(self, digest: str) -> np.ndarray[Any, Any]:
        """Its numbers, as they are stored.

        Raises:
            UnknownDataset: no data set has this digest.
        """
        return self._transport.run(fetch_dataset(digest))

    def delete(self, digest: str) -> None:
        """Forget it; jobs that still need it will fail.

        Raises:
            UnknownDataset: no data set has this digest.
        """
        self._transport.run(delete_dataset(digest))

    def prune(self, older_than_days: float) -> tuple[Dataset, ...]:
        """Forget those that were uploaded longer ago, such as arrays that were uploaded for their jobs; returns them.

        Jobs that still need one will fail.
        """
        return self._transport.run(prune_datasets(older_than_days))
