"""The database of the ledger: SQLite for one machine, PostgreSQL for several; the same statements on both.

SQLite keeps a rollback journal (DELETE) with synchronous=EXTRA: after the answer, a power cut loses nothing, the
deletion of the journal included. It is not WAL, which versions before 3.51.3 can corrupt when it is reset.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event, make_url, text
from sqlalchemy.exc import ArgumentError, InterfaceError, OperationalError, TimeoutError

from mercer.errors import Unavailable
from store.ledger.schema import metadata
from store.objects import UnsuitableStore

WAIT_S = 30
"""How long a transaction waits for the ones before it."""

SCHEMA_LOCK = 0x6C6564676572
"""Of PostgreSQL: whoever holds it makes the tables."""

_READING = "reading"
_PRAGMAS = (
    "journal_mode = DELETE",
    "synchronous = EXTRA",
    f"busy_timeout = {WAIT_S * 1_000}",
    "foreign_keys = ON",
    "recursive_triggers = ON",  # else REPLACE deletes rows without asking the triggers
)


class Database:
    """Transactions on the tables of the ledger, which are made when they are not there.

    Args:
        url: sqlite:////absolute/path/ledger.db or postgresql+psycopg://user@host/database.

    Raises:
        UnsuitableStore: it is no such address, or its driver is not installed.
        Unavailable: it does not answer.
    """

    def __init__(self, url: str) -> None:
        self._engine = _engine(url)
        with self.writing() as connection:
            if self._engine.dialect.name == "postgresql":
                connection.execute(text(f"SELECT pg_advisory_xact_lock({SCHEMA_LOCK})"))
            metadata.create_all(connection)

    @contextmanager
    def writing(self) -> Iterator[Connection]:
        """A transaction that is committed at the end; on SQLite no other writes meanwhile.

        Raises:
            Unavailable: the database does not answer, or others hold it too long. Nobody knows then whether it was
                committed: ask again with the same key.
        """
        with _translated(), self._engine.begin() as connection:
            yield connection

    @contextmanager
    def reading(self) -> Iterator[Connection]:
        """A transaction that writes nothing and keeps nobody from writing for long.

        Raises:
            Unavailable: the database does not answer.
        """
        with _translated(), self._engine.connect().execution_options(**{_READING: True}) as connection:
            yield connection

    def close(self) -> None:
        """Close its connections."""
        self._engine.dispose()


def _engine(url: str) -> Engine:
    try:
        address = make_url(url)
        if address.get_backend_name() == "sqlite" and address.database:
            return _sqlite(url)
        if address.drivername == "postgresql+psycopg":
            return create_engine(url, pool_size=8, pool_timeout=WAIT_S, pool_pre_ping=True)
    except ArgumentError:
        pass
    except ModuleNotFoundError as error:
        raise UnsuitableStore(f"This ledger needs {error.name}: pip install 'mercer[postgres]'") from None
    raise UnsuitableStore("expected sqlite:////absolute/path/ledger.db or postgresql+psycopg://user@host/database")


def _sqlite(url: str) -> Engine:
    # One connection: SQLite has one writer at a time; waiting for the connection is fair, SQLite's own waiting is not.
    engine = create_engine(url, pool_size=1, max_overflow=0, pool_timeout=WAIT_S)

    @event.listens_for(engine, "connect")
    def prepare(connection: Any, _: Any) -> None:
        connection.isolation_level = None  # transactions begin when we say so, and as we say
        for pragma in _PRAGMAS:
            connection.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        reading = connection.get_execution_options().get(_READING)
        connection.exec_driver_sql("BEGIN" if reading else "BEGIN IMMEDIATE")

    return engine


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except (OperationalError, InterfaceError, TimeoutError) as error:
        raise Unavailable("The ledger does not answer.", retry_after_s=1) from error
