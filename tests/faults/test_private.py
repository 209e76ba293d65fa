"""One key, one charge, one release, whatever is killed; and budgets that many clients race for, over HTTP."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

import mercer
from deploy.local import LocalService
from mercer import kernels as k
from mercer.errors import BudgetExceeded, ConnectionFailed

BOX = mercer.Box(low=(0.0, 0.0), high=(1.0, 1.0))
STEPS = (
    "before the charge",
    "after the charge",
    "after the job is queued",
    "before the release is published",
    "after the release is published",
)


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory):
    return tmp_path_factory.mktemp("killed")


@pytest.fixture(scope="module")
def service(data_dir):
    """Its processes are killed where the file kill_at says."""
    environment = {
        "MERCER_LEASE_S": "1",
        "MERCER_DEVICE": "cpu",
        "KILL_AT": str(data_dir / "kill_at"),
        "PYTHONPATH": str(Path(__file__).parent / "killing"),
    }
    with LocalService(data_dir, environment=environment, logs=data_dir / "logs") as service:
        yield service


@pytest.fixture
def client(service):
    with mercer.Client(service.url) as client:
        yield client


@pytest.fixture
def protect(client):
    def made(epsilon=1.0, delta=0.0):
        records = np.random.default_rng(0).random((50, 2))
        terms = {"epsilon": epsilon, "delta": delta, "neighbours": "add_or_remove_one", "domain": BOX}
        return client.private.protect(records, max_records=100, **terms)

    return made


def density(private, epsilon=0.1, delta=0.0):
    kernel = k.Gaussian(lengthscale=0.2)
    return mercer.PrivateDensity(x=private, kernel=kernel, epsilon=epsilon, delta=delta, n_features=1)


def persistently(act):
    """The service needs some seconds to be there again."""
    until = time.monotonic() + 100
    while True:
        try:
            return act()
        except ConnectionFailed:
            assert time.monotonic() < until
            time.sleep(0.1)


@pytest.mark.parametrize("step", STEPS)
def test_a_process_killed_at_any_step_leaves_one_charge_and_one_release_for_the_key(client, protect, data_dir, step):
    private, asked = protect(), data_dir / "kill_at"
    asked.write_text(step)
    spec, key = density(private), step.replace(" ", "-")
    first = persistently(lambda: client.submit(spec, idempotency_key=key).result())
    assert not asked.exists(), "it was killed"
    again = client.submit(spec, idempotency_key=key).result()
    np.testing.assert_array_equal(first.vector, again.vector)
    assert first.parameters == again.parameters
    assert [one.release for one in client.private.spent(private)] == [first.id]
    assert client.private.budget(private).spent_epsilon == pytest.approx(0.1)
    published = [path.name for path in data_dir.rglob("releases/*") if path.name == first.id]
    assert published == [first.id]


def test_of_64_clients_at_once_over_http_exactly_ten_get_a_tenth(client, service, protect):
    private, barrier = protect(), threading.Barrier(64)

    def spend(number):
        with mercer.Client(service.url) as own:
            barrier.wait()
            try:
                return own.submit(density(private), idempotency_key=f"racing-{number}")
            except BudgetExceeded:
                return None

    with ThreadPoolExecutor(64) as pool:
        jobs = [job for job in pool.map(spend, range(64)) if job is not None]
    assert len(jobs) == 10
    budget = client.private.budget(private)
    assert (budget.releases, budget.epsilon_left) == (10, 0)
    assert len({client.job(job.id).result().id for job in jobs}) == 10


def test_ten_gaussian_releases_of_1_and_a_millionth_are_reported_as_3_56_at_most(client, protect):
    private = protect(epsilon=4.0, delta=1e-6)
    client.submit_many([density(private, epsilon=1.0, delta=1e-6) for _ in range(10)])
    budget = client.private.budget(private)
    assert budget.releases == 10
    assert 3.5 < budget.spent_epsilon <= 3.56
