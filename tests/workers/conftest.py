"""Batches on a real store, and a worker process on a real Valkey."""

import os
import signal
import subprocess
import sys
from contextlib import suppress

import pytest

from broker.service_broker import ServiceBroker
from gpu.device import Device
from store.local import LocalObjects
from store.results import Results
from tests.workers.jobs import shelves_of
from workers.batch import Bench


@pytest.fixture
def bench(tmp_path):
    objects = LocalObjects(tmp_path)
    return Bench(shelves_of(objects), Results(objects), Device("cpu"))


@pytest.fixture
async def queue(valkey_url, namespace):
    broker = ServiceBroker.connect(valkey_url, namespace=namespace)
    yield broker
    await broker.close()


@pytest.fixture
def start_worker(valkey_url, namespace, tmp_path):
    """Starts worker processes that are ready to work, and ends them after the test."""
    processes = []

    def start(module="workers", **environment):
        settings = {
            "MERCER_REDIS_URL": valkey_url,
            "MERCER_NAMESPACE": namespace,
            "MERCER_DATA_DIR": str(tmp_path),
            "MERCER_DEVICE": "cpu",
            "MERCER_LEASE_S": "1",
        }
        process = subprocess.Popen(
            [sys.executable, "-m", module],
            env=os.environ | settings | environment,
            start_new_session=True,  # its group is the worker: the parent and the process that works
            stderr=subprocess.PIPE,
            text=True,
        )
        processes.append(process)
        printed = []
        while not printed or "is ready" not in printed[-1]:
            printed.append(process.stderr.readline())
            assert printed[-1], "the worker ended:\n" + "".join(printed)
        return process

    yield start
    for process in processes:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGCONT)
        process.kill()
        process.communicate()
