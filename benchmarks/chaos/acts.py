"""Faults one at a time, each with what must hold then."""

import signal
import time
from dataclasses import dataclass, field
from typing import Any

import httpx2

import mercer
from benchmarks.chaos.checker import Checker, Verdict
from benchmarks.chaos.disk import tiny_disk
from benchmarks.chaos.jobs import LONG, MEDIUM_EVERY, job
from benchmarks.chaos.machine import Machine
from benchmarks.chaos.nursery import Nursery
from benchmarks.chaos.submitting import Submitter
from mercer.jobs import Job, State

SETTLE_S = 30.0
AT_ONCE = 1e6
ZOMBIE_S = 4.0
"""Within which a worker that woke up has finished its long job."""


@dataclass
class Outcome:
    """What an act showed."""

    name: str
    holds: bool
    verdict: Verdict
    notes: dict[str, Any] = field(default_factory=dict)


def submitted(machine: Machine, checker: Checker, numbers: range, rate: float = AT_ONCE) -> None:
    """Submit jobs and wait until all are accepted."""
    Submitter(machine.faulty_url, checker, numbers, rate=rate, seed=0).run()


def running(client: mercer.Client, handle: mercer.JobHandle, attempt: int = 1, within_s: float = 60.0) -> Job:
    """Wait until a worker has a job for the so-many-th time."""
    deadline = time.monotonic() + within_s
    while (record := client.job(handle.id).refresh()).state != State.RUNNING or record.attempt < attempt:
        if record.done or time.monotonic() > deadline:
            raise RuntimeError(f"expected a running job, got {record}")
        time.sleep(0.005)
    return record


def holder(machine: Machine, client: mercer.Client, handle: mercer.JobHandle) -> str:
    """The worker that runs a job, once one does."""
    name = machine.name_of(running(client, handle).worker or "")
    assert name is not None
    return name


def zombie(nursery: Nursery, *, fenced: bool) -> Outcome:
    """A worker sleeps past its lease in the middle of a job that another then finishes, and wakes up."""
    with (
        Machine(nursery, workers=2, lease_s=1.0, fenced=fenced) as machine,
        mercer.Client(machine.url) as client,
        Checker(machine.direct_port) as checker,
    ):
        handle = client.submit(job(LONG))
        checker.accepted[handle.id] = LONG
        name = holder(machine, client, handle)
        machine.signal(name, signal.SIGSTOP)
        while handle.id not in checker.results:
            time.sleep(0.05)
        machine.signal(name, signal.SIGCONT)
        time.sleep(ZOMBIE_S)
        verdict = checker.settle(SETTLE_S)
        return Outcome("SIGSTOP past the lease", verdict.clean, verdict, {"turned away": machine.turned_away()})


def power(nursery: Nursery, appendfsync: str, jobs: int = 250) -> Outcome:
    """The power is cut right after jobs were accepted; what was not synced is lost."""
    with Machine(nursery, workers=2, appendfsync=appendfsync) as machine, Checker(machine.direct_port) as checker:
        submitted(machine, checker, range(jobs), rate=jobs / 3)
        # The last ones just before the cut: what `everysec` has not synced yet.
        submitted(machine, checker, range(jobs, jobs + 50))
        dropped = machine.cut_power()
        machine.wait_ready()
        verdict = checker.settle(SETTLE_S)
    notes = {"bytes not synced": dropped, "simulated": "files fall back to their size at the last fsync"}
    return Outcome(f"power cut, appendfsync {appendfsync}", verdict.clean, verdict, notes)


def lost_replies(nursery: Nursery, *, keyed: bool, jobs: int = 100) -> Outcome:
    """The service accepts, and the client does not hear of it."""
    with Machine(nursery, workers=2) as machine, Checker(machine.direct_port) as checker:
        submitter = Submitter(machine.faulty_url, checker, range(jobs), rate=25, seed=0, keyed=keyed)
        submitter.start()
        while submitter.is_alive():
            machine.http_link.lose_reply()
            submitter.join(0.4)
        verdict = checker.settle(SETTLE_S)
    return Outcome("lost replies", verdict.clean, verdict)


def full_disk_of_the_queue(nursery: Nursery) -> Outcome:
    """With appendfsync always the server ends itself rather than accept what it cannot write."""
    with tiny_disk() as disk:
        if disk is None:
            return Outcome("full disk of the queue", False, Verdict(), {"not run": "this user may not mount a tmpfs"})
        machine = Machine(nursery, workers=2)
        (machine.disk / "queue").symlink_to(disk.folder)
        with machine, Checker(machine.direct_port) as checker:
            submitter = Submitter(machine.faulty_url, checker, range(1_000), rate=AT_ONCE, seed=0)
            submitter.start()
            time.sleep(0.3)
            disk.fill()
            time.sleep(2.0)
            ended = not machine.queue.running
            before = len(checker.accepted)
            disk.free()
            machine.queue.kill()
            machine.queue.start()
            submitter.join(SETTLE_S)
            verdict = checker.settle(SETTLE_S)
    notes = {"accepted before it was full": before, "server ended": ended}
    return Outcome("full disk of the queue", verdict.clean and verdict.accepted == 1_000, verdict, notes)


def full_disk_of_the_store(nursery: Nursery) -> Outcome:
    """Jobs whose results do not fit fail with that reason, and succeed when they are tried again with room."""
    with tiny_disk() as disk:
        if disk is None:
            return Outcome("full disk of the store", False, Verdict(), {"not run": "this user may not mount a tmpfs"})
        machine = Machine(nursery, workers=2)
        (machine.disk / "data").symlink_to(disk.folder)
        with machine:
            checker = Checker(machine.direct_port)
            disk.fill(left_bytes=2**20)
            submitted(machine, checker, range(0, 40 * MEDIUM_EVERY, MEDIUM_EVERY))
            before = ended(machine, list(checker.accepted))
            disk.free()
            failed = [record["id"] for record in before if record["state"] != "succeeded"]
            why = {record["error"]["detail"].partition(":")[0] for record in before if record["state"] != "succeeded"}
            with httpx2.Client(base_url=machine.url, trust_env=False) as http:
                for job_id in failed:
                    http.post(f"/v1/jobs/{job_id}/retry").raise_for_status()
            with checker:
                verdict = checker.settle(SETTLE_S)
    notes = {"failed while full": len(failed), "reasons": sorted(why)}
    return Outcome("full disk of the store", verdict.clean and 0 < len(failed) < len(before), verdict, notes)


def ended(machine: Machine, ids: list[str]) -> list[dict[str, Any]]:
    """The records of jobs once all have ended."""
    with httpx2.Client(base_url=machine.url, trust_env=False) as http:
        deadline = time.monotonic() + SETTLE_S
        while time.monotonic() < deadline:
            jobs = http.post("/v1/jobs/wait", json={"ids": ids, "wait_s": 0}).raise_for_status().json()["jobs"]
            if len(jobs) == len(ids):
                return jobs
            time.sleep(0.1)
    raise RuntimeError(f"{len(ids)} jobs did not end in {SETTLE_S:g} s")


def recovery(nursery: Nursery, lease_s: float, rounds: int) -> Outcome:
    """How long after the death of its worker a job runs again, when there is nothing else to do."""
    after = []
    with (
        Machine(nursery, workers=2, lease_s=lease_s) as machine,
        mercer.Client(machine.url) as client,
        Checker(machine.direct_port) as checker,
    ):
        for _ in range(rounds):
            handle = client.submit(job(LONG))
            checker.accepted[handle.id] = LONG
            name = holder(machine, client, handle)
            machine.signal(name, signal.SIGKILL)
            start = time.monotonic()
            running(client, handle, attempt=2)
            after.append((time.monotonic() - start) / lease_s)
            handle.wait(SETTLE_S)
        verdict = checker.settle(SETTLE_S)
    notes = {"leases until it ran again": [round(one, 2) for one in after]}
    return Outcome(f"killed worker, lease {lease_s:g} s", verdict.clean and max(after) <= 1.25, verdict, notes)


def ten_leases(nursery: Nursery) -> Outcome:
    """A job that takes ten leases, since its worker is halted in pulses shorter than the lease, runs once."""
    with (
        Machine(nursery, workers=2, lease_s=1.0) as machine,
        mercer.Client(machine.url) as client,
        Checker(machine.direct_port) as checker,
    ):
        handle = client.submit(job(LONG))
        checker.accepted[handle.id] = LONG
        name = holder(machine, client, handle)
        start = time.monotonic()
        while time.monotonic() < start + 10.0:
            machine.signal(name, signal.SIGSTOP)
            time.sleep(0.4)
            machine.signal(name, signal.SIGCONT)
            time.sleep(0.02)
        record = handle.wait(SETTLE_S)
        took_s = time.monotonic() - start
        verdict = checker.settle(SETTLE_S)
    notes = {"runs": record.attempt, "leases": round(took_s, 1)}
    return Outcome("a job of ten leases", verdict.clean and record.attempt == 1 and took_s >= 10, verdict, notes)
