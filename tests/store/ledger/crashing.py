"""Processes that spend, and that are killed at a named step of the protocol."""

import os
import signal
from contextlib import contextmanager
from multiprocessing import get_context
from pathlib import Path

from sqlalchemy import event

from mercer.errors import BudgetExceeded
from mercer.privacy import Loss
from store.ledger import Database, Ledger
from store.local import LocalObjects
from tests.store.ledger.conftest import charge

UNCOMMITTED = ("the transaction began", "before the entry", "after the entry", "before the commit")
COMMITTED = ("before the witness", "the witness is half written", "before the witness is there", "after the witness")
STEPS = (*UNCOMMITTED, *COMMITTED)

# Children are forked from a clean process that has loaded everything, not from the threads of the tests.
processes = get_context("forkserver")
processes.set_forkserver_preload([__name__])


class Killer:
    """Kills its own process at one step."""

    def __init__(self, step):
        self._step = step

    def at(self, step):
        if step == self._step:
            os.kill(os.getpid(), signal.SIGKILL)


class KillingObjects(LocalObjects):
    """A local store whose writer passes the steps of a witness."""

    killer = Killer(None)

    @contextmanager
    def writer(self, key, *, expected_bytes=0):
        self.killer.at("before the witness")
        with super().writer(key, expected_bytes=expected_bytes) as writer:
            write, commit = writer.write, writer.commit

            def write_half(data):
                write(data[: len(data) // 2])
                self.killer.at("the witness is half written")
                write(data[len(data) // 2 :])
                self.killer.at("before the witness is there")

            def commit_and_die():
                done = commit()
                self.killer.at("after the witness")
                return done

            writer.write, writer.commit = write_half, commit_and_die
            yield writer


def killed_charge(url, root, name, key, step):
    """Charge in a process of its own, which is killed at a step."""
    child = processes.Process(target=_charge_and_die, args=(url, root, name, key, step))
    child.start()
    child.join()
    return child.exitcode


def _charge_and_die(url, root, name, key, step):
    database, objects, killer = Database(url), KillingObjects(Path(root)), Killer(step)
    engine = database._engine
    event.listen(engine, "begin", lambda _: killer.at("the transaction began"))
    event.listen(engine, "before_cursor_execute", lambda *given: _at_entry(killer, "before the entry", given[2]))
    event.listen(engine, "after_cursor_execute", lambda *given: _at_entry(killer, "after the entry", given[2]))
    event.listen(engine, "commit", lambda _: killer.at("before the commit"))
    objects.killer = killer
    charge(Ledger(database, objects), name, key)


def _at_entry(killer, step, statement):
    if statement.startswith("INSERT INTO entries"):
        killer.at(step)


def spend(url, root, name, client, loss, answers, count):
    """Charge again and again, each with a key of its own; write each answer to a pipe before the next."""
    ledger = Ledger(Database(url), LocalObjects(Path(root)))
    for number in range(count):
        try:
            paid = charge(ledger, name, f"{client}-{number}", loss=Loss(**loss))
        except BudgetExceeded:
            break
        answers.send((f"{client}-{number}", paid.release_id))
    answers.send(None)
