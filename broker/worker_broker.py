"""What a worker asks of the queue."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Collection, Sequence
from typing import Any, Self

from broker.faults import check_server, client, translated
from broker.keys import parts_of_queue, tag
from broker.pipe import Argument
from broker.records import Claim, ClaimedJob, Crash, Finished, Renewal, pack_run
from broker.scripts import load
from broker.settings import NAMESPACE, RESULT_TTL_S
from mercer.errors import JobDead

MAX_BLOCK_S = 2.0
"""Of one blocking read: well under the socket's timeout, or redis-py sends it ten times and then gives up."""

LINGER_LOOK_S = 0.001
"""How often a worker that lingers looks whether its batch is full. The doorbell cannot tell: an idle server ends a
blocking read only at its next tick, up to 0.1 s late."""

SWEPT_AT_ONCE = 4
"""Expired leases taken back by one script: about 3 ms of the server's time when each held 64 jobs."""

TAKEN_BACK_IN_A_SWEEP = 100

TRIMMED_AT_ONCE = 500
"""Index entries looked at by one script: half a millisecond of the server's time."""

TRIMS_IN_A_SWEEP = 20

TRIM_PAUSE_MS = 1_000
"""Until an index is looked through again: every worker sweeps, and there may be thousands of tenants."""

PROGRESS_KEPT = 256

NO_LIMIT = 1 << 53


class WorkerBroker:
    """The queue, seen from a worker; made by `connect`. Threads may share it.

    Args:
        url: redis://, rediss:// or unix://.
        namespace: What all keys begin with.
        lease_ms: How long a claimed batch is held without being renewed.
        result_ttl_s: How long the record of an ended job is kept.
        max_deliveries: After how many deaths of its workers a job is given up.
        max_crashes: After how many deaths of the process that ran it, seen by its living parent, a job is given up.
        linger_ms: How long the oldest job may wait for others to share its launch.
    """

    def __init__(
        self,
        url: str,
        *,
        namespace: str,
        lease_ms: int,
        result_ttl_s: int,
        max_deliveries: int,
        max_crashes: int,
        linger_ms: int,
    ) -> None:
        self._redis = client(url)
        self._scripts = {name: self._redis.register_script(script.text) for name, script in load().items()}
        self._tag = tag(namespace)
        self._lease_ms = lease_ms
        self._result_ttl_s = result_ttl_s
        self._max_deliveries = max_deliveries
        self._max_crashes = max_crashes
        self._linger_ms = linger_ms

    @classmethod
    def connect(
        cls,
        url: str,
        *,
        namespace: str = NAMESPACE,
        lease_ms: int = 10_000,
        result_ttl_s: int = RESULT_TTL_S,
        max_deliveries: int = 10,
        max_crashes: int = 3,
        linger_ms: int = 1,
    ) -> Self:
        """The queue at an address, after a look at the server.

        Raises:
            UnsuitableRedis: The server would lose jobs.
            Unavailable: It does not answer.
        """
        check_server(url)
        return cls(
            url,
            namespace=namespace,
            lease_ms=lease_ms,
            result_ttl_s=result_ttl_s,
            max_deliveries=max_deliveries,
            max_crashes=max_crashes,
            linger_ms=linger_ms,
        )

    def close(self) -> None:
        """Hang up."""
        self._redis.close()

    def claim(
        self,
        worker: str,
        device: str,
        *,
        max_jobs: int = 64,
        max_bytes: int = NO_LIMIT,
        max_flops: int = NO_LIMIT,
        block_ms: int = 2000,
        lease: str | None = None,
    ) -> Claim | None:
        """Jobs of one tenant, priority and batch key, whichever has its turn; None when there were none in time.

        Args:
            worker: Who runs them.
            device: On what.
            max_jobs: How many at most.
            max_bytes: How many bytes together; a job larger than that comes alone.
            max_flops: How many flops together; a job larger than that comes alone.
            block_ms: How long to wait for work.
            lease: What to hold them under; absent, a fresh one. Asked again with the same, it answers the same jobs.

        Raises:
            Unavailable: Redis is away.
        """
        lease = lease or uuid.uuid4().hex
        deadline = time.monotonic() + block_ms / 1000
        times = (self._lease_ms, self._linger_ms, self._result_ttl_s)
        arguments = (lease, worker, device, max_jobs, max_bytes, max_flops, *times)
        lingered_s = 0.0
        while True:
            answer = self._run("claim", *arguments)
            if isinstance(answer, list):
                return _claim(lease, answer, lingered_s)
            left_s = deadline - time.monotonic()
            if left_s <= 0:
                return None
            if answer is None:
                self._wait_for_the_bell(min(left_s, MAX_BLOCK_S))
            else:
                pause_s = min(left_s, answer / 1000, LINGER_LOOK_S)
                time.sleep(pause_s)
                lingered_s += pause_s

    def renew(self, lease: str) -> Renewal:
        """Hold a lease for longer.

        Raises:
            Unavailable: Redis is away.
        """
        stop = self._run("renew", lease, self._lease_ms)
        return Renewal(stop is not None, set((stop or b"").decode().split()))

    def finish(self, lease: str, jobs: Sequence[Finished]) -> set[str]:
        """End jobs; the ids of those accepted: any other belongs to somebody else by now.

        Raises:
            Unavailable: Redis is away.
        """
        by_id = {job.id: job for job in jobs}
        arguments: list[Argument] = [lease, self._result_ttl_s]
        for job in by_id.values():
            arguments += (job.id, job.state, job.result or b"", job.error or b"", pack_run(job))
        refused = self._run("finish", *arguments) if by_id else []
        ids = list(by_id)
        return set(ids) - {ids[number] for number in refused}

    def progress(self, lease: str, job_id: str, fraction: float) -> bool:
        """Tell how far a running job is; False when the lease no longer holds it.

        Raises:
            Unavailable: Redis is away.
        """
        return bool(self._run("progress", lease, job_id, f"{fraction:.4g}", self._result_ttl_s, PROGRESS_KEPT))

    def release(self, lease: str, ids: Collection[str]) -> set[str]:
        """Give back jobs that were not started, which counts as no delivery; the ids that now wait again.

        Raises:
            Unavailable: Redis is away.
        """
        back = self._run("release", lease, self._result_ttl_s, *ids) if ids else []
        return {job_id.decode() for job_id in back}

    def crash(self, lease: str, cause: str) -> Crash:
        """Take back what a process held that died: its jobs are suspects from now on, and run alone.

        Args:
            lease: What it held them under; one that has ended changes nothing.
            cause: What it died of, in the words of a job's record.

        Raises:
            Unavailable: Redis is away.
        """
        detail = (
            f"The process that computed it died {self._max_crashes} times, at last by {cause}. Retry it when that"
            " has been mended, POST /v1/jobs/{id}/retry, or send a smaller job; the operators find the cause in the"
            " worker's log."
        )
        error = json.dumps(JobDead(detail).problem())
        suspects, *dead = self._run("crash", lease, self._max_crashes, self._result_ttl_s, error)
        return Crash(suspects, [job_id.decode() for job_id in dead])

    def sweep(self) -> list[str]:
        """Queue again what dead workers held, and forget expired records; the ids that now wait again.

        Every worker calls it about every quarter of the lease.

        Raises:
            Unavailable: Redis is away.
        """
        back = self._take_back_expired()
        for _ in range(TRIMS_IN_A_SWEEP):
            if not self._run("trim", self._result_ttl_s, TRIMMED_AT_ONCE, TRIM_PAUSE_MS):
                break
        return back

    def announce(self, worker: str, device: str, *, running: int = 0, jobs_done: int = 0) -> None:
        """Say that a worker is alive; believed for three leases.

        Raises:
            Unavailable: Redis is away.
        """
        self._run("announce", worker, device, running, jobs_done, 3 * self._lease_ms)

    def retire(self, worker: str) -> None:
        """Say that a worker has ended.

        Raises:
            Unavailable: Redis is away.
        """
        self._run("retire", worker)

    def _take_back_expired(self) -> list[str]:
        detail = f"the worker that ran it died {self._max_deliveries} times"
        error = json.dumps(JobDead(detail).problem())
        back: list[str] = []
        for _ in range(TAKEN_BACK_IN_A_SWEEP):
            leases, *ids = self._run("sweep", self._max_deliveries, self._result_ttl_s, error, SWEPT_AT_ONCE)
            back += (job_id.decode() for job_id in ids)
            if leases < SWEPT_AT_ONCE:
                break
        return back

    def _run(self, script: str, *arguments: Argument) -> Any:
        with translated():
            return self._scripts[script]([self._tag], arguments)

    def _wait_for_the_bell(self, timeout_s: float) -> None:
        with translated():
            self._redis.blpop([f"{self._tag}:bell"], timeout=max(timeout_s, 0.001))


def _claim(lease: str, answer: list[Any], lingered_s: float) -> Claim:
    queue, claimed_ms, *values = answer
    jobs = [
        ClaimedJob(job_id.decode(), kind.decode(), spec, attempt, created_ms, trace.decode(), tenant.decode())
        for job_id, kind, spec, attempt, created_ms, trace, tenant in zip(*[iter(values)] * 7, strict=True)
    ]
    _, batch_key = parts_of_queue(queue.decode())
    return Claim(lease, batch_key, jobs, claimed_ms, lingered_s)
