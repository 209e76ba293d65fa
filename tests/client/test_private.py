"""A custodian, an analyst and an attacker, through the whole service."""

import json
import re
from uuid import uuid4

import httpx2
import numpy as np
import pytest

import mercer
from mercer import kernels as k
from mercer.arrays import digest, to_npy
from mercer.cli import main
from mercer.errors import (
    AlreadyProtected,
    BudgetExceeded,
    IdempotencyConflict,
    InvalidArray,
    InvalidRequest,
    InvalidSpec,
    UnknownDataset,
)
from mercer.points import DatasetReference

BOX = mercer.Box(low=(0.0, 0.0), high=(1.0, 1.0))
KERNEL = k.Gaussian(lengthscale=0.2)


@pytest.fixture
def records():
    """Others in every test: budgets are for ever."""
    return np.random.default_rng(uuid4().int).beta(2, 5, size=(2_000, 2))


def protect(client, records):
    return client.private.protect(
        records, epsilon=3.0, delta=1e-6, neighbours="add_or_remove_one", domain=BOX, max_records=10_000
    )


@pytest.fixture
def private(client, records):
    return protect(client, records)


def density(private, **fields):
    return mercer.PrivateDensity(**{"x": private, "kernel": KERNEL, "epsilon": 1.0, "delta": 1e-7, **fields})


def exact(records, points):
    return np.exp(-((records[:, None] - points[None]) ** 2).sum(2) / (2 * 0.2**2)).sum(0)


def test_a_release_estimates_kernel_sums_within_what_it_says(client, private, records):
    release = client.run(density(private))
    points = records[:200]
    answer = release(points)
    error = answer.sums - exact(records, points)
    assert (np.abs(error) < 6 * answer.noise_error + answer.approximation_error).all()
    assert abs(answer.records - len(records)) < 6 * release.parameters["count_error"]


def test_a_query_gives_the_bits_that_the_release_gives_by_itself(client, private, tmp_path):
    release = client.run(density(private, n_features=64))
    points = np.random.default_rng(1).random((300, 2))
    asked = client.run(mercer.PrivateDensityQuery(release=release, points=points))
    offline = mercer.load_release(release.save(tmp_path / "release.npz"))(points)
    np.testing.assert_array_equal(asked.sums, offline.sums)
    np.testing.assert_array_equal(asked.means, offline.means)
    np.testing.assert_array_equal(asked.noise_error, offline.noise_error)
    np.testing.assert_array_equal(asked.approximation_error, offline.approximation_error)
    assert asked.records == offline.records


@pytest.mark.parametrize("count", [300, 700])
def test_landmarks_sent_or_uploaded_make_a_release_that_answers_offline(client, private, records, tmp_path, count):
    landmarks = np.random.default_rng(0).beta(2, 5, (count, 2))
    release = client.run(density(private, landmarks=landmarks))
    asked = client.run(mercer.PrivateDensityQuery(release=release, points=landmarks))
    offline = mercer.load_release(release.save(tmp_path / "release.npz"))(landmarks)
    for one, other in zip(asked, offline, strict=True):
        np.testing.assert_array_equal(one, other)
    error = offline.sums - exact(records, landmarks)
    assert np.sqrt((error**2).mean()) < 6 * release.parameters["noise_error"]
    assert release.parameters["landmarks_fit"] is True
    assert client.private.budget(private).releases == 1


def test_a_plan_tells_the_price_and_spends_nothing(client, private):
    plan = client.plan(density(private))
    assert plan.affordable
    assert plan.details["noise_error"] > 0
    assert client.private.budget(private).releases == 0
    assert client.plan(density(private, epsilon=3.0, delta=0.0)).epsilon == 3
    assert not client.plan(density(private, epsilon=3.1, delta=0.0)).affordable


def test_the_same_key_gives_the_same_release_and_is_charged_once(client, private):
    first = client.submit(density(private), idempotency_key="once").result()
    again = client.submit(density(private), idempotency_key="once").result()
    np.testing.assert_array_equal(first.vector, again.vector)
    assert first.id == again.id
    assert client.private.budget(private).releases == 1
    with pytest.raises(IdempotencyConflict):
        client.submit(density(private, n_features=10), idempotency_key="once")


def test_another_key_gives_another_release_and_is_charged_again(client, private):
    first, again = (client.run(density(private, n_features=32)) for _ in range(2))
    assert (first.vector != again.vector).all()
    spent = client.private.spent(private)
    assert [one.release for one in spent] == [first.id, again.id]
    assert all(one.kind == "private_density" for one in spent)


def test_nothing_is_queued_that_the_budget_does_not_pay(client, private):
    for _ in range(3):
        client.run(density(private, epsilon=1.0, delta=0.0, n_features=4))
    before = client.private.budget(private)
    assert before.epsilon_left == 0
    with pytest.raises(BudgetExceeded, match="more than is left"):
        client.submit(density(private, epsilon=1e-3, delta=0.0))
    assert client.private.budget(private) == before


def test_several_releases_are_paid_together_or_not_at_all(client, private):
    specs = [density(private, epsilon=1.0, delta=0.0, n_features=n) for n in (1, 2, 3, 4)]
    with pytest.raises(BudgetExceeded):
        client.submit_many(specs)
    assert client.private.budget(private).releases == 0
    jobs = client.submit_many(specs[:3])
    assert len({job.result().id for job in jobs}) == 3


def test_a_batch_file_may_hold_releases(client, private):
    batch = client.batch({f"r{n}": density(private, epsilon=1.0, delta=0.0, n_features=n) for n in (1, 2)}.items())
    releases = dict(batch.results())
    assert {name: len(release.vector) for name, release in releases.items()} == {"r1": 3, "r2": 5}
    assert client.private.budget(private).releases == 2
    with pytest.raises(BudgetExceeded):
        client.batch({f"r{n}": density(private, epsilon=1.0, delta=0.0, n_features=n) for n in (1, 2)}.items())


def test_a_private_data_set_is_no_data_set(client, private, records):
    name = digest(to_npy(records))
    with pytest.raises(UnknownDataset):
        client.datasets.get(name)
    assert name not in [dataset.digest for dataset in client.datasets.list()]
    with pytest.raises(InvalidSpec):
        client.submit(mercer.Gram(kernel=KERNEL, x=DatasetReference(dataset=name)))


def test_names_are_random(client, records):
    names = {protect(client, records).name for _ in range(3)}
    assert len(names) == 3
    assert all(re.fullmatch("[0-9a-f]{32}", name) for name in names)


def test_terms_never_change_and_what_is_spent_outlives_the_data(client, private, records, url):
    client.run(density(private, epsilon=1.0, delta=0.0, n_features=4))
    client.private.delete(private)
    assert not client.private.budget(private).uploaded
    terms = private.terms.model_dump(mode="json") | {"epsilon": 30.0}
    answer = httpx2.post(f"{url}/v1/private", json={"name": private.name, "terms": terms})
    assert (answer.status_code, answer.json()["type"]) == (409, f"urn:mercer:problem:{AlreadyProtected.code}")
    again = client.private.upload(private, records)
    assert (again.uploaded, again.releases, again.terms) == (True, 1, private.terms)


def test_a_request_that_is_sent_again_after_a_lost_answer_changes_nothing(faulty, client, records):
    sender, transport = faulty("lost", None, "lost")
    private = protect(sender, records)
    assert transport.methods == ["POST", "POST", "PUT", "PUT"]
    assert len({str(request.url) for request in transport.requests[2:]}) == 1
    assert (private.uploaded, client.private.budget(private)) == (True, private)


def test_releases_after_a_replacement_are_of_the_new_records(client, private):
    before = client.run(density(private, n_features=4))
    client.private.upload(private, np.full((9_000, 2), 0.5))
    after = client.run(density(private, n_features=4))
    error = 6 * np.hypot(before.parameters["count_error"], after.parameters["count_error"])
    assert after(np.ones((1, 2))).records - before(np.ones((1, 2))).records == pytest.approx(7_000, abs=error)
    assert client.private.budget(private).releases == 2


def test_data_of_an_unknown_name_are_refused(client, records):
    with pytest.raises(UnknownDataset):
        client.private.upload("0" * 32, records)


def test_nothing_that_is_shown_tells_how_many_records_there_are(client, records):
    shown = []
    for n in (1_000, 1_999):
        private = protect(client, records[:n])
        job = client.submit(density(private, n_features=16))
        job.wait()
        record = job.record.model_dump(mode="json", exclude={"id", "created_at", "started_at", "finished_at", "worker"})
        for name in ("data", "release", "vector_sha256"):
            record["result"]["facts"].pop(name)
        assert record["result"].pop("location") == f"/v1/jobs/{job.id}/result"
        record["timings"].pop("queued_ms")
        record["timings"]["compute_ms"] = round(np.log2(record["timings"]["compute_ms"] / 250))
        plan = client.plan(density(private, n_features=16))
        shown.append((record, plan, private.model_dump(exclude={"name"})))
    assert shown[0] == shown[1]


@pytest.mark.parametrize(
    ("records", "why"),
    [(np.zeros((11, 2)), "at most max_records = 10 records"), (np.zeros((3, 3)), "records of 2 numbers")],
)
def test_data_that_do_not_fit_their_terms_are_refused(client, records, why):
    records = records + np.random.default_rng(uuid4().int).random(records.shape)
    with pytest.raises(InvalidArray, match=why):
        client.private.protect(records, epsilon=1.0, neighbours="change_one", domain=BOX, max_records=10)


@pytest.mark.parametrize(
    ("fields", "pointer"),
    [
        ({"kernel": k.Gaussian(lengthscale=[1.0, 2.0, 3.0])}, "/kernel/lengthscale"),
        ({"kernel": k.Gaussian(active_dimensions=[0])}, "/kernel/active_dimensions"),
        ({"landmarks": [[1.0]]}, "/landmarks"),
        ({"landmarks": [[0.5, 0.5]], "probes": [[1.0]]}, "/probes"),
        ({"landmarks": [[0.5, 0.5]], "probes": [[0.5, 0.5]]}, "/mechanism"),
        ({"landmarks": [[0.5, 0.5]], "n_features": 7}, "/mechanism"),
        ({"landmarks": [[0.5, 0.5]], "mechanism": "fourier"}, "/mechanism"),
        ({"mechanism": "landmarks"}, "/mechanism"),
        ({"check_share": 0.2}, "/mechanism"),
        ({"mechanism": "fourier", "epsilon": 1e-6, "delta": 0.0, "n_features": 16_384}, "/epsilon"),
        ({"mechanism": "spectral", "kernel": k.Exponential()}, "/mechanism"),
    ],
)
def test_a_release_that_cannot_be_made_is_refused_before_it_is_paid(client, private, fields, pointer):
    with pytest.raises(InvalidSpec) as refused:
        client.submit(density(private, **fields))
    assert refused.value.errors[0].pointer == pointer
    assert client.private.budget(private).releases == 0


def test_points_must_fit_the_release(client, private):
    release = client.run(density(private, n_features=4))
    with pytest.raises(InvalidSpec, match="do not fit"):
        client.submit(mercer.PrivateDensityQuery(release=release, points=[[1.0]]))
    with pytest.raises(InvalidArray):
        release(np.ones((1, 3)))


def test_who_sends_no_key_or_names_a_release_pays_nothing(client, private, url):
    body = density(private).model_dump(mode="json", exclude_none=True)
    answer = httpx2.post(f"{url}/v1/jobs", json=body)
    assert (answer.status_code, "Idempotency-Key" in answer.json()["detail"]) == (400, True)
    with pytest.raises(InvalidRequest, match="release_id"):
        client.submit(density(private, release_id="0" * 32))
    assert client.private.budget(private).releases == 0


def test_the_shell_protects_releases_and_shows(url, monkeypatch, capsys, records, tmp_path):
    monkeypatch.setenv("MERCER_URL", url)
    np.save(tmp_path / "records.npy", records)
    words = ["--epsilon", "2", "--delta", "1e-6", "--neighbours", "add_or_remove_one", "--low", "0,0", "--high", "1,1"]
    words += ["--max-records", "10000"]
    assert main(["private", "protect", str(tmp_path / "records.npy"), *words]) == 0
    name = capsys.readouterr().out.strip()
    assert re.fullmatch("[0-9a-f]{32}", name)
    assert main(["private", "upload", name, str(tmp_path / "records.npy"), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["uploaded"]
    words = [
        "--kernel",
        "gaussian(lengthscale=0.2)",
        "--epsilon",
        "1",
        "--delta",
        "1e-7",
        "--n-features",
        "32",
        "--json",
    ]
    assert main(["private-density", name, *words]) == 0
    release = json.loads(capsys.readouterr().out)["result"]["facts"]["release"]
    np.save(tmp_path / "points.npy", records[:3])
    assert main(["private-density-query", release, str(tmp_path / "points.npy")]) == 0
    assert "kernel sums at 3 points" in capsys.readouterr().out
    assert main(["private", "spent", name]) == 0
    assert release in capsys.readouterr().out
    assert main(["private", "list"]) == 0
    assert name in capsys.readouterr().out
    assert main(["private", "show", name]) == 0
    assert main(["private", "delete", name]) == 0
