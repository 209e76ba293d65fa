"""How many charges a second the privacy ledger takes: `python -m benchmarks.ledger [--url URL] [--seconds 5] [--save]`.

SQLite and the witnesses lie in a folder of their own beside the working directory, since memory file systems sync for
nothing. With --url the same on PostgreSQL, in whose database it leaves its accounts.
"""

import argparse
import secrets
import statistics
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from benchmarks.report import save, table
from mercer.privacy import Budget, Loss
from store.ledger import Database, Ledger, Terms
from store.local import LocalObjects

LOSS = Loss.pure(1e-6)
TERMS = Terms(Budget.of(500.0), "add_or_remove_one", "{}")
CASES = [(1, 1), (8, 1), (8, 8)]
"""Clients, and the accounts that they share."""


def client(ledger: Ledger, name: str, until: float) -> list[float]:
    """How many seconds each charge took."""
    took = []
    while (start := time.perf_counter()) < until:
        key = secrets.token_hex(16)
        ids = {"key": key, "release_id": key, "fingerprint": key}
        ledger.charge("bench", name, **ids, loss=LOSS, kind="bench", spender="bench")
        took.append(time.perf_counter() - start)
    return took


def measured(ledger: Ledger, clients: int, accounts: int, seconds: float) -> dict[str, float]:
    """Charges a second, and the median and 99th percentile of their milliseconds."""
    names = [secrets.token_hex(16) for _ in range(accounts)]
    for name in names:
        ledger.protect("bench", name, TERMS, "bench")
    until = time.perf_counter() + seconds
    with ThreadPoolExecutor(clients) as pool:
        runs = [pool.submit(client, ledger, names[number % accounts], until) for number in range(clients)]
        took = sorted(second for run in runs for second in run.result())
    p99 = took[int(0.99 * (len(took) - 1))]
    return {"charges_s": len(took) / seconds, "p50_ms": 1e3 * statistics.median(took), "p99_ms": 1e3 * p99}


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--url", help="of a PostgreSQL database")
    parser.add_argument("--seconds", type=float, default=5.0)
    parser.add_argument("--save", action="store_true")
    asked = parser.parse_args()
    figures = {}
    with tempfile.TemporaryDirectory(prefix="ledger-", dir=".") as folder:
        url = asked.url or f"sqlite:///{Path(folder).absolute()}/ledger.db"
        ledger = Ledger(Database(url), LocalObjects(Path(folder) / "store"))
        for clients, accounts in CASES:
            figures[f"{clients} clients, {accounts} accounts"] = measured(ledger, clients, accounts, asked.seconds)
        ledger.database.close()
    print(table(("case", *next(iter(figures.values()))), [(name, *row.values()) for name, row in figures.items()]))
    if asked.save:
        save("ledger_postgresql" if asked.url else "ledger", figures)


if __name__ == "__main__":
    main()
