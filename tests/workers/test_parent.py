"""The parent of the process that works, with small processes of its own."""

import os
import signal
import subprocess
import sys
import time
from contextlib import suppress

import psutil
import pytest

HEAD = """
import os, signal, sys, time
from workers.drain import Drain
from workers.parent import Parent
drain = Drain(60)

def say(*words):
    print(*words, flush=True)

def until_drained():
    say("works", os.getpid())
    while not drain.begun:
        time.sleep(0.01)
"""


@pytest.fixture
def start():
    """Runs a script in a process group of its own, which is ended after the test."""
    processes = []

    def make(body, run="sys.exit(Parent(drain, work, died).run())"):
        processes.append(
            subprocess.Popen(
                [sys.executable, "-c", f"{HEAD}\n{body}\n{run}"],
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
                start_new_session=True,
            )
        )
        return processes[-1]

    yield make
    for process in processes:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


WORKS = "work, died = until_drained, lambda code: False"


def child_of(process):
    """The id of the process that works, once it does."""
    return int(process.stdout.readline().split()[1])


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_to_the_parent_drains_the_process_that_works(start, number):
    process = start(WORKS)
    child_of(process)
    process.send_signal(number)
    assert process.wait(10) == 0


def test_a_signal_to_both_counts_once(start):
    process = start("def work():\n  until_drained()\n  time.sleep(0.2)\n  say('over', drain.over)\ndied = None")
    child_of(process)
    os.killpg(process.pid, signal.SIGINT)
    assert process.stdout.readline() == "over False\n"


def test_a_second_signal_ends_the_grace(start):
    process = start(
        "def work():\n  until_drained()\n  say('begun')\n  while not drain.over: time.sleep(0.01)\ndied = None"
    )
    child_of(process)
    process.terminate()
    assert process.stdout.readline() == "begun\n"
    process.terminate()
    assert process.wait(10) == 0


NO_PRCTL = f"import ctypes\nctypes.CDLL = lambda name: None\n{WORKS}"
"""As on a system that is not Linux."""


@pytest.mark.parametrize("how", ["running", "stopped", "elsewhere"])
def test_the_process_that_works_ends_with_its_parent_however_that_ended(start, how):
    process = start(NO_PRCTL if how == "elsewhere" else WORKS)
    child = psutil.Process(child_of(process))
    if how == "stopped":
        child.suspend()
    process.kill()
    until = time.monotonic() + 1.0
    while child.is_running() and child.status() != psutil.STATUS_ZOMBIE:
        assert time.monotonic() < until, "it outlived its parent"
        time.sleep(0.01)


def test_a_process_that_was_killed_is_replaced_and_its_killer_is_told(start):
    process = start("work = until_drained\ndef died(code):\n  say(code)\n  return True")
    first = child_of(process)
    os.kill(first, signal.SIGSEGV)
    assert process.stdout.readline() == "-11\n"
    assert child_of(process) != first


def test_nobody_is_forked_again_once_the_worker_is_to_end(start):
    process = start("work = until_drained\ndef died(code):\n  drain.begin()\n  return True")
    os.kill(child_of(process), signal.SIGKILL)
    assert process.wait(10) == 0


def test_an_exit_of_foreign_code_is_no_end_of_its_own(start):
    process = start(
        "import ctypes\nwork = lambda: ctypes.CDLL(None).exit(3)\ndef died(code):\n  say(code)\n  return True"
    )
    assert [process.stdout.readline() for _ in range(2)] == ["3\n"] * 2


def test_an_end_of_its_own_passes_on_as_the_exit_code(start):
    process = start("def work():\n  raise RuntimeError('no such queue')\ndied = None")
    _, said = process.communicate(timeout=10)
    assert process.returncode == 1
    assert said.count("no such queue") == 1


def test_one_that_is_killed_before_it_has_a_job_is_started_ever_more_seldom_and_still_drains_at_once(start):
    process = start(
        "def work():\n  say(time.monotonic())\n  os.kill(os.getpid(), signal.SIGSEGV)\ndied = lambda code: False"
    )
    at = [float(process.stdout.readline()) for _ in range(5)]
    gaps = [after - before for before, after in zip(at, at[1:], strict=False)]
    assert all(gap >= 0.1 * 2**n for n, gap in enumerate(gaps))
    began = time.monotonic()
    process.terminate()
    assert process.wait(10) == 0
    assert time.monotonic() - began < 1.0, "it slept on"
