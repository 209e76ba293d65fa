"""What happens to a batch between claim and finish: load, run, store. It knows no Redis."""

from __future__ import annotations

import importlib
import logging
import traceback
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from types import ModuleType

from pydantic_core import to_json

from broker.records import ClaimedJob, Finished
from gpu.device import Device
from gpu.task import Answer, Cancelled, Task
from mercer.errors import MercerError
from mercer.jobs import State
from mercer.specs import Spec
from store.results import Results
from workers.answers import records
from workers.batching import bisect
from workers.loading import Loaded, Loader, Shelves, parsed
from workers.problems import reason
from workers.releasing import paid_release, quantised, record_of, shortest_s
from workers.stopwatch import Stopwatch
from workers.watch import Watch

log = logging.getLogger(__name__)

Report = Callable[[float], None]


@dataclass(frozen=True)
class Bench:
    """What a worker has at hand for every batch."""

    shelves: Shelves
    results: Results
    device: Device
    memory_bytes: int | None = None
    """What the process may take; None where nothing holds it."""


class Batch:
    """Jobs of one batch key on their way to their outcomes.

    Args:
        bench: What they are run with.
        watch: Says which of them were cancelled.
        report: Given a job's id, what its task reports to; may raise Abandoned, which leaves the batch.
    """

    def __init__(self, bench: Bench, watch: Watch, report: Callable[[str], Report]) -> None:
        self._bench = bench
        self._watch = watch
        self._report = report
        self._loader = Loader(bench.shelves)
        self._stopwatch = Stopwatch()

    def run(self, jobs: Sequence[ClaimedJob]) -> list[Finished]:
        """One outcome for each job, in no order."""
        loaded, failed = self._load(jobs)
        return failed + bisect(loaded, self._run_together, self._fail) if loaded else failed

    def _load(self, jobs: Sequence[ClaimedJob]) -> tuple[list[Loaded], list[Finished]]:
        loaded, failed = [], []
        for job in jobs:
            spec = None
            try:
                spec = parsed(job.spec)
                # A release reads its data only where none was published, and how far it has come would tell of them.
                unread = Loaded(job, Task(spec, {})) if spec.releases else None
                loaded.append(unread or self._loader.load(job, spec, self._report(job.id)))
            except Exception as error:  # noqa: BLE001 - it is this job's outcome, and the others go on
                failed.append(self._failed(job, spec, error))
        return loaded, failed

    def _run_together(self, jobs: Sequence[Loaded]) -> list[Finished]:
        """Leave out what was cancelled, and run the rest; anew without those that are cancelled meanwhile."""
        live = [job for job in jobs if job.claimed.id not in self._watch.cancelled]
        cancelled = [
            self._finished(job.claimed.id, State.CANCELLED) for job in jobs if job.claimed.id in self._watch.cancelled
        ]
        if not live:
            return cancelled
        try:
            return cancelled + self._compute_with_all_memory(live)
        except Cancelled:
            return cancelled + self._run_together(live)

    def _compute_with_all_memory(self, jobs: Sequence[Loaded]) -> list[Finished]:
        try:
            return self._compute(jobs)
        except MemoryError:
            # What is kept of earlier jobs may be what these lack.
            if not self._bench.device.buffers.drop():
                raise
        return self._compute(jobs)

    def _compute(self, jobs: Sequence[Loaded]) -> list[Finished]:
        operation = importlib.import_module(f"gpu.ops.{jobs[0].task.spec.kind}")
        if jobs[0].task.spec.releases:
            return [self._release(job, operation) for job in jobs]
        with self._stopwatch.computing():
            answers: list[Answer] = operation.run([job.task for job in jobs], self._bench.device)
        results = self._store(jobs, answers)
        timings = self._stopwatch.timings()
        return [
            self._finished(job.claimed.id, State.SUCCEEDED, result=result, batch_size=len(jobs), timings=timings)
            for job, result in zip(jobs, results, strict=True)
        ]

    def _release(self, job: Loaded, operation: ModuleType) -> Finished:
        """The release that was paid for: the one that was published, whoever drew it."""
        releases = self._bench.shelves.releases.of(job.claimed.tenant)
        spec = job.task.spec
        release_id = paid_release(spec)
        least_s = shortest_s(spec.cost(self._loader.infos(spec, job.claimed.tenant)).flops)
        with self._stopwatch.computing(), quantised(least_s):
            release = releases.find(release_id)
            if release is None:
                task = self._loader.load(job.claimed, spec, job.task.report).task
                (answer,) = operation.run([task], self._bench.device)
                release = releases.publish(release_id, answer.array(), answer.facts)
        # What is left over tells of nothing but the machine.
        timings = self._stopwatch.timings() | {"transfer_ms": 0.0}
        return self._finished(job.claimed.id, State.SUCCEEDED, result=record_of(release), timings=timings)

    def _store(self, jobs: Sequence[Loaded], answers: list[Answer]) -> list[bytes]:
        """The result of each job, in objects that it shares with jobs of its own tenant alone."""
        places: defaultdict[str, list[int]] = defaultdict(list)
        for place, job in enumerate(jobs):
            places[job.claimed.tenant].append(place)
        results: dict[int, bytes] = {}
        for tenant, theirs in places.items():
            with self._bench.results.of(tenant).batch(jobs[theirs[0]].claimed.id) as stored:
                several = records([answers[place] for place in theirs], stored, self._stopwatch)
                stored.commit()
            results |= zip(theirs, several, strict=True)
        return [results[place] for place in range(len(jobs))]

    def _fail(self, job: Loaded, error: Exception) -> Finished:
        return self._failed(job.claimed, job.task.spec, error)

    def _failed(self, job: ClaimedJob, spec: Spec | None, error: Exception) -> Finished:
        if not isinstance(error, MercerError):
            # Where it was raised, but not what it says: a message may hold the user's data.
            where = "".join(traceback.format_tb(error.__traceback__))
            log.error("job %s failed with %s\n%s", job.id, type(error).__name__, where)
        why = reason(
            error,
            job.id,
            lambda: self._loader.needed_bytes(spec, job.tenant) if spec else 0,
            memory_bytes=self._bench.memory_bytes,
        )
        return self._finished(job.id, State.FAILED, error=to_json(why.problem()))

    def _finished(
        self,
        job_id: str,
        state: State,
        *,
        result: bytes | None = None,
        error: bytes | None = None,
        batch_size: int = 1,
        timings: dict[str, float] | None = None,
    ) -> Finished:
        return Finished(
            id=job_id,
            state=state,
            result=result,
            error=error,
            device=self._bench.device.name,
            batch_size=batch_size,
            timings=timings or self._stopwatch.timings(),
        )
