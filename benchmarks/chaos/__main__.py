"""Faults, at random and one at a time, and what became of the jobs; bounded to five minutes.

python -m benchmarks.chaos [--seed N] [--jobs 5000] [--without fence|fsync|idempotency] [--save]

With --without only the run with that fault planted: the same checker must find it. A run without the option has all
of them at its end. Exits with 1 when anything did not come out as it must.
"""

import argparse
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict
from pathlib import Path
from secrets import randbelow
from tempfile import TemporaryDirectory

from benchmarks.chaos import acts
from benchmarks.chaos.acts import Outcome
from benchmarks.chaos.checker import Checker
from benchmarks.chaos.machine import Machine
from benchmarks.chaos.nursery import Nursery
from benchmarks.chaos.poison import mixed
from benchmarks.chaos.storm import Storm
from benchmarks.chaos.submitting import Submitter
from benchmarks.report import save, table

JOBS_PER_S = 70
STORM_LIMIT_S = 120.0
SETTLE_S = 60.0
WORKERS = 4
CLIENTS = 2
POISON_EVERY = 250
"""So many jobs, and then one that kills whoever computes it."""


def storm(nursery: Nursery, seed: int, jobs: int) -> Outcome:
    """All faults in random order, while clients submit."""
    with Machine(nursery, workers=WORKERS) as machine, Checker(machine.direct_port) as checker:
        clients = [
            Submitter(machine.faulty_url, checker, numbers, rate=JOBS_PER_S / CLIENTS, seed=seed * CLIENTS + n)
            for n, numbers in enumerate(mixed(range(n, jobs, CLIENTS), POISON_EVERY) for n in range(CLIENTS))
        ]
        for client in clients:
            client.start()
        weather, deadline = Storm(machine, seed), time.monotonic() + STORM_LIMIT_S
        weather.run(lambda: not any(client.is_alive() for client in clients) or time.monotonic() > deadline)
        for client in clients:
            client.given_up.set()
            client.join()
        verdict = checker.settle(SETTLE_S)
        again = sum(record["attempt"] > 1 for record in checker.first.values())
        poison = jobs // POISON_EVERY
        notes = {
            **weather.counts,
            "jobs run again": again,
            "zombies turned away": machine.turned_away(),
            "poison quarantined": f"{poison - verdict.poison_let_through} of {poison}",
        }
    return Outcome("storm", verdict.clean and verdict.accepted == jobs + poison, verdict, notes)


def planted(nursery: Nursery, what: str) -> Outcome:
    """With one safety taken away: it holds when the checker is red."""
    runs: dict[str, Callable[[], Outcome]] = {
        "fence": lambda: acts.zombie(nursery, fenced=False),
        "fsync": lambda: acts.power(nursery, "everysec"),
        "idempotency": lambda: acts.lost_replies(nursery, keyed=False),
    }
    outcome = runs[what]()
    red = not outcome.verdict.clean
    return Outcome(f"without {what}", red, outcome.verdict, {"checker": "red, as it must be" if red else "saw nothing"})


def everything(nursery: Nursery, seed: int, jobs: int) -> Iterator[Outcome]:
    """All acts, one after another."""
    yield storm(nursery, seed, jobs)
    yield acts.zombie(nursery, fenced=True)
    yield acts.power(nursery, "always")
    yield acts.lost_replies(nursery, keyed=True)
    yield acts.full_disk_of_the_queue(nursery)
    yield acts.full_disk_of_the_store(nursery)
    yield acts.recovery(nursery, lease_s=2.0, rounds=3)
    yield acts.ten_leases(nursery)
    for what in ("fence", "fsync", "idempotency"):
        yield planted(nursery, what)


def main() -> int:
    """Run, print the table, and save it when asked."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seed", type=int, default=randbelow(10**6))
    parser.add_argument("--jobs", type=int, default=5_000)
    parser.add_argument("--without", choices=("fence", "fsync", "idempotency"))
    parser.add_argument("--save", action="store_true", help="write benchmarks/results/chaos.json")
    options = parser.parse_args()
    start, outcomes = time.monotonic(), []
    print(f"seed {options.seed}", flush=True)
    with TemporaryDirectory(prefix="mercer-chaos-", dir="/tmp") as folder, Nursery(Path(folder)) as nursery:
        runs = (
            [planted(nursery, options.without)] if options.without else everything(nursery, options.seed, options.jobs)
        )
        for outcome in runs:
            print(f"{time.monotonic() - start:5.0f} s  {outcome.name}: {outcome.notes}", flush=True)
            outcomes.append(outcome)
    rows = [{"act": one.name, **asdict(one.verdict), "as it must be": one.holds} for one in outcomes]
    print(table(list(rows[0]), [list(row.values()) for row in rows]))
    if options.save:
        notes = {one.name: one.notes for one in outcomes}
        save("chaos", {"seed": options.seed, "took_s": time.monotonic() - start, "rows": rows, "notes": notes})
    return 0 if all(one.holds for one in outcomes) else 1


if __name__ == "__main__":
    sys.exit(main())
