"""For operators: `python -m store.ledger verify|export|reconcile --url URL --store PLACE`; see docs/runbook.md."""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path

from mercer.errors import AccountFrozen, Unavailable
from store.ledger.audit import export, reconcile, verify
from store.ledger.database import Database
from store.ledger.witnesses import Witnesses
from store.objects import Objects, UnsuitableStore
from store.opening import open_objects

CACHE_BYTES = 0
"""Entries are small and read once."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; 0 when all is well, 1 when the ledger is not, 2 when it cannot be reached."""
    asked = _parser().parse_args(arguments)
    try:
        database = Database(asked.url)
        return _COMMANDS[asked.command](database, Witnesses(_objects(asked.store)))
    except (Unavailable, UnsuitableStore) as error:
        sys.stderr.write(f"{error}\n")
        return 2


def _verify(database: Database, witnesses: Witnesses) -> int:
    faults = verify(database, witnesses)
    for fault in faults:
        sys.stdout.write(f"{fault.tenant} {fault.name} entry {fault.seq} {fault.detail}\n")
    sys.stdout.write(f"{len(faults)} faults\n")
    return 1 if faults else 0


def _export(database: Database, _: Witnesses) -> int:
    for line in export(database):
        sys.stdout.write(line.decode())
    return 0


def _reconcile(database: Database, witnesses: Witnesses) -> int:
    try:
        done = reconcile(database, witnesses)
    except AccountFrozen as error:
        sys.stderr.write(f"{error}\n")
        return 1
    for account in done:
        sys.stdout.write(
            f"{account.tenant} {account.name}: {account.entries} entries from the witnesses, "
            f"{account.witnesses} witnesses made\n"
        )
    sys.stdout.write(f"{len(done)} accounts mended\n")
    return 0


_COMMANDS: dict[str, Callable[[Database, Witnesses], int]] = {
    "verify": _verify,
    "export": _export,
    "reconcile": _reconcile,
}


def _objects(place: str) -> Objects:
    if place.startswith("s3://"):
        return open_objects(place, Path(tempfile.gettempdir()) / "mercer-ledger", CACHE_BYTES)
    if not Path(place).is_dir():
        raise UnsuitableStore("expected the folder of the service's objects: there is none of this name")
    return open_objects(None, Path(place), CACHE_BYTES)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m store.ledger", description="Look after the privacy ledger.")
    parser.add_argument("command", choices=_COMMANDS)
    parser.add_argument("--url", required=True, help="sqlite:////path/ledger.db or postgresql+psycopg://user@host/db")
    parser.add_argument("--store", required=True, help="the folder of the objects, or s3://bucket/prefix")
    return parser


if __name__ == "__main__":
    sys.exit(main())
