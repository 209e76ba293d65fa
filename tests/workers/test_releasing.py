"""Private releases in a worker: drawn once, whoever asks, and told of by nothing but what was released."""

import json
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from secrets import token_hex
from threading import Barrier
from types import SimpleNamespace

import numpy as np
import pytest

from gpu.ops import private_density
from mercer.arrays import digest, to_npy
from mercer.jobs import State
from mercer.points import PrivateReference
from mercer.privacy.terms import Box, Neighbours, Terms
from mercer.specs import PrivateDensity
from store.private import check
from tests.workers.jobs import claimed, gram, points
from workers import releasing
from workers.batch import Batch
from workers.releasing import quantised
from workers.watch import Watch

RELEASE = "0123456789abcdef" * 2
TERMS = Terms(epsilon=1.0, neighbours=Neighbours.CHANGE_ONE, domain=Box([-4, -4], [4, 4]), max_records=100)


@pytest.fixture
def private(bench):
    return protected(bench.shelves.private, points(50))


def protected(private, records):
    body, name = to_npy(records), token_hex(16)
    private.protect(name, TERMS)
    with private.data.upload(name, digest(body), "npy", partial(check, TERMS)) as receiving:
        receiving.write(body)
        receiving.commit()
    return name


def density(private, **fields):
    made = {"x": PrivateReference(private=private), "kernel": {"family": "gaussian"}, "epsilon": 1.0, "n_features": 8}
    return PrivateDensity(**{**made, "release_id": RELEASE, **fields})


def ran(bench, spec, report=None, **fields):
    (done,) = Batch(bench, Watch("lease"), report or (lambda job_id: lambda fraction: None)).run(
        [claimed(spec, **fields)]
    )
    return done


def published(bench):
    return bench.shelves.releases.known(RELEASE).vector


class Clock:
    """Passes as the block says, and sleeps at once."""

    def __init__(self, monkeypatch):
        self.now_s = 100.0
        monkeypatch.setattr(releasing, "time", SimpleNamespace(monotonic=lambda: self.now_s, sleep=self.passes))

    def passes(self, seconds):
        self.now_s += seconds


@pytest.mark.parametrize(
    ("took_s", "told_s"), [(0, 0.25), (0.01, 0.25), (0.249, 0.25), (0.26, 0.5), (0.51, 1), (3, 4), (100, 128)]
)
@pytest.mark.parametrize("fails", [False, True])
def test_a_failure_takes_as_long_as_a_success_and_both_as_long_as_one_of_a_few_steps(
    took_s, told_s, fails, monkeypatch
):
    clock = Clock(monkeypatch)

    def block():
        with quantised(0.25):
            clock.passes(took_s)
            if fails:
                raise RuntimeError

    if fails:
        with pytest.raises(RuntimeError):
            block()
    else:
        block()
    assert clock.now_s - 100 == pytest.approx(told_s, rel=1e-12)


def test_the_release_that_is_published_is_the_jobs_result(bench, private):
    done = ran(bench, density(private))
    assert done.state == State.SUCCEEDED
    told = json.loads(done.result)
    assert (told["shape"], told["dtype"], told["facts"]["release"]) == ([17], "int64", RELEASE)
    stored = b"".join(bench.results.read(told["object"], told["offset"], told["length"]))
    assert stored == to_npy(published(bench))


def told(bench, records, release, caplog):
    """Everything that a release of these records says but its noise: status, shape, parameters, size, log lines."""
    name = protected(bench.shelves.private, records)
    caplog.clear()
    done = ran(bench, density(name, release_id=release))
    result = json.loads(done.result)
    for noisy in ("vector_sha256", "release", "data"):
        result["facts"].pop(noisy)
    result.pop("object")
    lines = [(line.levelname, line.getMessage()) for line in caplog.records]
    return done.state, done.error, done.batch_size, result, lines


@pytest.mark.parametrize("odd", [1e308, -1e308, 5e-324, -0.0, 1e9])
def test_neighbours_are_told_of_alike_whatever_a_record_holds(bench, caplog, odd):
    records = points(50)
    changed = records.copy()
    changed[7] = odd
    first, second = (told(bench, one, f"{n}" * 32, caplog) for n, one in enumerate([records, changed]))
    assert first[0] == State.SUCCEEDED
    assert first == second


@pytest.mark.parametrize("deleted", [False, True])
def test_what_was_published_is_not_drawn_again(bench, private, deleted):
    first = ran(bench, density(private))
    if deleted:
        bench.shelves.private.data.delete(private)
    again = ran(bench, density(private))
    assert again.state == State.SUCCEEDED
    assert again.result == first.result


def test_another_release_of_the_same_is_drawn_anew(bench, private):
    ran(bench, density(private))
    ran(bench, density(private, release_id="f" * 32))
    assert (bench.shelves.releases.known("f" * 32).vector != published(bench)).any()


def test_of_two_workers_that_both_draw_one_publishes_and_both_answer_it(bench, private, monkeypatch):
    both_drew, drawn, run = Barrier(2, timeout=60), [], private_density.run

    def waiting(tasks, device):
        (answer,) = run(tasks, device)
        drawn.append(answer.array())
        both_drew.wait()
        return [answer]

    monkeypatch.setattr(private_density, "run", waiting)
    with ThreadPoolExecutor(2) as workers:
        first, second = (one.result() for one in [workers.submit(ran, bench, density(private)) for _ in range(2)])
    assert (drawn[0] != drawn[1]).any()
    assert first.result == second.result
    assert [(one == published(bench)).all() for one in drawn].count(True) == 1


def test_what_nobody_paid_for_is_not_made(bench, private):
    done = ran(bench, density(private, release_id=None))
    assert done.state == State.FAILED
    assert json.loads(done.error)["type"] == "urn:mercer:problem:not-protected"
    assert bench.shelves.releases.list() == []


def test_a_release_of_data_that_are_gone_fails_and_publishes_nothing(bench, private):
    bench.shelves.private.data.delete(private)
    done = ran(bench, density(private))
    assert done.state == State.FAILED
    assert json.loads(done.error)["type"] == "urn:mercer:problem:unknown-dataset"
    assert bench.shelves.releases.list() == []


def test_data_of_another_tenant_are_not_there(bench, private):
    done = ran(bench, density(private), tenant="acme")
    assert json.loads(done.error)["type"] == "urn:mercer:problem:unknown-dataset"


def test_how_far_a_release_has_come_is_told_to_nobody(bench, private):
    asked = []
    assert ran(bench, density(private), report=lambda job_id: asked.append).state == State.SUCCEEDED
    assert asked == []


def test_how_a_computation_failed_is_not_told_with_what_it_read(bench, private, monkeypatch, caplog):
    def fails(tasks, device):
        raise ValueError(str(tasks[0].arrays["x"][0]))

    monkeypatch.setattr(private_density, "run", fails)
    done = ran(bench, density(private))
    assert done.state == State.FAILED
    assert str(points(50)[0]) not in done.error.decode() + caplog.text


def test_a_private_data_set_is_not_found_as_a_data_set(bench, private):
    done = ran(bench, gram(x={"dataset": digest(to_npy(points(50)))}))
    assert json.loads(done.error)["type"] == "urn:mercer:problem:unknown-dataset"


def test_nothing_of_the_sum_but_the_noisy_vector_is_kept(bench, private, tmp_path):
    before = {path for path in tmp_path.rglob("*") if path.is_file()}
    ran(bench, density(private))
    (new,) = {path for path in tmp_path.rglob("*") if path.is_file()} - before
    assert new.read_bytes().endswith(np.ascontiguousarray(published(bench)).tobytes())
