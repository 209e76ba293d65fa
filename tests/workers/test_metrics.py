"""What a worker's /metrics shows."""

import time

import pytest
from prometheus_client import generate_latest

from broker.records import Claim, ClaimedJob, Finished
from deploy.local import ask, free_port
from gpu.device import Device
from tests.workers.jobs import finished, gram, submission, unfit
from workers.metrics import Metrics


def series(text):
    lines = [line for line in text.decode().splitlines() if not line.startswith("#")]
    return {line.rpartition(" ")[0]: float(line.rpartition(" ")[2]) for line in lines}


@pytest.fixture
def metrics():
    return Metrics(Device("cpu"), lambda: {"results": 12})


@pytest.fixture
def shown(metrics):
    return lambda: series(generate_latest(metrics.registry))


def claim(*attempts):
    jobs = [ClaimedJob(str(number), "gram", b"", attempt, 1_000) for number, attempt in enumerate(attempts)]
    return Claim("lease", "gram:a", jobs, claimed_ms=1_400, lingered_s=0.002)


def outcome(job_id, state="succeeded", compute_ms=2_000.0):
    timings = {"compute_ms": compute_ms, "transfer_ms": 1.0}
    return Finished(id=job_id, state=state, device="cpu", batch_size=1, timings=timings)


async def test_a_worker_shows_what_it_ran(queue, start_worker):
    port = free_port()
    start_worker(MERCER_METRICS_PORT=str(port))
    jobs = [submission(spec) for spec in (gram(), gram(), unfit())]
    await finished(queue, [job.id for job in await queue.admit(jobs)])
    until = time.monotonic() + 10
    while (shown := series(ask(port, "/metrics"))).get('mercer_jobs_finished_total{kind="gram",outcome="failed"}') != 1:
        assert time.monotonic() < until, "the failed job was not counted"
        time.sleep(0.02)
    assert shown['mercer_jobs_finished_total{kind="gram",outcome="succeeded"}'] == 2
    assert shown['mercer_job_deliveries_total{attempt="first"}'] == 3
    assert shown['mercer_batch_queue_wait_seconds_count{kind="gram"}'] >= 1
    assert shown["mercer_batch_size_jobs_sum"] == 3
    assert any(name.startswith('mercer_build_info{component="worker"') for name in shown)
    assert not any(job.id in name for job in jobs for name in shown)


def test_waits_are_those_of_first_deliveries_by_the_clock_of_redis(metrics, shown):
    metrics.claimed(claim(1, 1, 2))
    metrics.claimed(claim(2))
    assert shown()['mercer_batch_queue_wait_seconds_sum{kind="gram"}'] == pytest.approx(0.4)
    assert shown()['mercer_job_deliveries_total{attempt="again"}'] == 2
    assert shown()["mercer_batch_linger_seconds_sum"] == 0.004


def test_outcomes_that_the_fence_refuses_are_counted_apart(metrics, shown):
    metrics.finished("gram", [outcome("a"), outcome("b", compute_ms=5_000.0)], {"a"})
    assert shown()["mercer_outcomes_refused_total"] == 1
    assert shown()['mercer_jobs_finished_total{kind="gram",outcome="succeeded"}'] == 1
    assert shown()['mercer_batch_compute_seconds_sum{kind="gram"}'] == 5.0


def test_the_store_is_listed_when_it_is_asked_for_and_not_for_every_scrape(shown):
    looks = []
    metrics = Metrics(Device("cpu"), lambda: looks.append(1) or {"results": 12})
    assert not looks
    for _ in range(3):
        assert series(generate_latest(metrics.registry))['mercer_store_bytes{part="results"}'] == 12
    assert len(looks) == 1


def test_a_cpu_shows_no_device_memory(shown):
    assert not any(name.startswith("mercer_device_memory_bytes{") for name in shown())
