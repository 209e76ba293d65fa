"""Kill -9 at every step, and at any moment: nothing acknowledged is lost, nothing is spent twice."""

import os
import random
import signal
import time
from dataclasses import asdict

import pytest

from mercer.errors import BudgetExceeded
from mercer.privacy import Budget, Loss
from store.ledger import Ledger, Terms
from store.ledger.audit import verify
from tests.store.ledger.conftest import TENTH, charge
from tests.store.ledger.crashing import COMMITTED, STEPS, killed_charge, processes, spend


@pytest.fixture
def root(local):
    """The folder of the objects."""
    return str(local.local_path("x").parent)


def exhausted(ledger, name):
    """How many more charges of a tenth there are until none is left."""
    for number in range(20):
        try:
            charge(ledger, name, f"rest-{number}")
        except BudgetExceeded:
            return number
    raise AssertionError("the budget has no end")


@pytest.mark.parametrize("step", STEPS)
def test_a_charge_killed_at_any_step_is_paid_once_when_it_is_asked_for_again(ledger, protected, url, root, step):
    before = charge(ledger, protected, "before")
    assert killed_charge(url, root, protected, "k", step) == -signal.SIGKILL
    assert not verify(ledger.database, ledger.witnesses)
    paid = charge(ledger, protected, "k")
    assert paid.fresh == (step not in COMMITTED)
    assert charge(ledger, protected, "k") == (paid.release_id, False)
    assert charge(ledger, protected, "before") == (before.release_id, False)
    assert exhausted(ledger, protected) == 8
    assert not verify(ledger.database, ledger.witnesses)


@pytest.mark.parametrize("step", ["before the commit", "before the witness"])
def test_a_charge_that_nobody_asks_for_again_costs_once_at_most(ledger, protected, url, root, step):
    assert killed_charge(url, root, protected, "k", step) == -signal.SIGKILL
    assert exhausted(ledger, protected) == (9 if step in COMMITTED else 10)
    assert len({entry.release_id for entry in ledger.entries("acme", protected)}) == 11


def started(url, root, name, count, loss, times):
    """Processes that spend, and the ends of their pipes."""
    children = []
    for number in range(count):
        ours, theirs = processes.Pipe(duplex=False)
        client = f"{os.urandom(4).hex()}-{number}"
        child = processes.Process(target=spend, args=(url, root, name, client, asdict(loss), theirs, times))
        child.start()
        theirs.close()
        children.append((child, ours))
    return children


def answers(child, pipe):
    """What a process acknowledged before it ended or was killed."""
    got = {}
    try:
        while (answer := pipe.recv()) is not None:
            got.update([answer])
    except EOFError:
        pass
    child.join()
    return got


def test_of_the_clients_of_four_processes_exactly_ten_get_a_tenth(ledger, protected, url, root):
    acknowledged = {}
    for child, pipe in started(url, root, protected, 4, TENTH, 16):
        acknowledged |= answers(child, pipe)
    assert len(acknowledged) == len(set(acknowledged.values())) == 10


def test_processes_killed_at_any_moment_lose_nothing_that_they_acknowledged(ledger, name, url, root):
    ledger.protect("acme", name, Terms(Budget.of(0.2), "add_or_remove_one", "{}"), "custodian")
    random.seed(0)
    acknowledged = {}
    for _ in range(3):
        children = started(url, root, name, 2, Loss.pure(0.001), 1_000)
        assert all(pipe.poll(60) for _, pipe in children), "each is in the middle of it"
        time.sleep(random.uniform(0.0, 0.2))
        for child, _ in children:
            child.kill()
        for child, pipe in children:
            acknowledged |= answers(child, pipe)
    entries = {entry.key: entry.release_id for entry in ledger.entries("acme", name) if entry.key}
    assert acknowledged.items() <= entries.items()
    assert len(entries) <= min(200, len(acknowledged) + 6), "each kill leaves at most one that nobody was told of"
    assert not verify(ledger.database, ledger.witnesses)
    fresh = Ledger(ledger.database, ledger.witnesses._objects)
    assert all(charge(fresh, name, key, loss=Loss.pure(0.001)) == (paid, False) for key, paid in entries.items())
