"""A job that kills the process which computes it, in a real worker on a real queue."""

import asyncio
import json
import signal
import time

import psutil
from redis import Redis

from broker.keys import tag
from broker.worker_broker import WorkerBroker
from deploy.local import ask, free_port
from mercer.jobs import State
from tests.workers.jobs import finished, gram, long
from tests.workers.test_metrics import series
from tests.workers.test_worker import admit, running


def poison(killer):
    """A spec that kills by a signal, in a worker started as tests.workers.poisoned."""
    return gram(3, kernel={"family": "gaussian", "lengthscale": 1000.0 + killer})


def why(record):
    return json.loads(record.error)["detail"]


async def test_poison_dies_after_three_deliveries_its_63_batch_mates_succeed_and_it_can_be_retried(
    queue, start_worker, tmp_path
):
    port = free_port()
    ids = await admit(queue, *(gram(2 + n % 9) for n in range(40)), poison(signal.SIGSEGV), *[gram()] * 23)
    (large,) = await admit(queue, poison(signal.SIGKILL), batch_key="gram:large")
    worker = start_worker("tests.workers.poisoned", MERCER_METRICS_PORT=str(port))
    *records, killed = await finished(queue, [*ids, large])
    states = [record.state for record in records]
    assert (states.count(State.SUCCEEDED), states[40], records[40].attempt) == (63, State.DEAD, 3)
    assert "died 3 times, at last by signal 11 (SIGSEGV)" in why(records[40])
    assert (killed.state, killed.attempt) == (State.DEAD, 3)
    assert "signal 9 (SIGKILL; out of memory?)" in why(killed)

    (tmp_path / "mended").touch()
    await queue.retry(ids[40])
    assert (await finished(queue, [ids[40]]))[0].state == State.SUCCEEDED
    shown = series(ask(port, "/metrics"))
    assert shown['mercer_worker_crashes_total{cause="SIGSEGV"}'] == 3
    assert shown["mercer_jobs_quarantined_total"] == 2
    assert worker.poll() is None


async def test_a_killed_parent_takes_its_process_along_and_its_jobs_come_back_without_blame(
    queue, start_worker, bench, valkey_url, namespace
):
    (job_id,) = await admit(queue, long(bench.shelves.datasets, n=12_000))
    worker = start_worker()
    await running(queue, job_id)
    (child,) = psutil.Process(worker.pid).children()
    worker.kill()
    died, other = time.monotonic(), WorkerBroker.connect(valkey_url, namespace=namespace)
    while not other.sweep():
        assert time.monotonic() < died + 1.25, "lease and a quarter"
        await asyncio.sleep(0.1)
    other.close()
    assert not child.is_running() or child.status() == psutil.STATUS_ZOMBIE
    with Redis.from_url(valkey_url) as redis:
        assert redis.hmget(f"{tag(namespace)}:job:{job_id}", "deaths", "crashes", "alone") == [b"1", None, None]
