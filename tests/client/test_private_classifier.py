"""A classifier of private records, through the whole service."""

import json
from uuid import uuid4

import numpy as np
import pytest

import mercer
from mercer import kernels as k
from mercer.cli import main
from mercer.errors import BudgetExceeded, InvalidArray, InvalidSpec

BOX = mercer.Box(low=(0.0, 0.0, 0.0), high=(1.0, 1.0, 2.0))
"""Labels are the last column."""
KERNEL = k.Gaussian(lengthscale=0.2)
CORNERS = np.array([[0.2, 0.2], [0.8, 0.2], [0.5, 0.8]])


@pytest.fixture
def records():
    """Three clouds; others in every test, for budgets are for ever."""
    rng = np.random.default_rng(uuid4().int)
    labels = rng.integers(0, 3, 3_000)
    return np.column_stack([CORNERS[labels] + 0.05 * rng.normal(size=(3_000, 2)), labels])


@pytest.fixture
def private(client, records):
    return client.private.protect(
        records, epsilon=3.0, delta=1e-6, neighbours="add_or_remove_one", domain=BOX, max_records=10_000
    )


def classifier(private, **fields):
    given = {"label_column": 2, "classes": [0, 1, 2], "kernel": KERNEL, "epsilon": 1.0, "delta": 1e-7}
    return mercer.PrivateClassifier(**{"x": private, **given, **fields})


def test_a_release_tells_classes_apart_and_costs_what_one_density_costs(client, private):
    plan = client.plan(classifier(private))
    release = client.run(classifier(private))
    assert release.predict(CORNERS).tolist() == [0, 1, 2]
    assert release.predict(CORNERS, by="mean").tolist() == [0, 1, 2]
    answer = release(CORNERS)
    assert abs(answer.records.sum() - 3_000) < 6 * 3**0.5 * release.parameters["count_error"]
    assert (answer.difference_error == 2**0.5 * answer.noise_error).all()
    density = client.plan(mercer.PrivateDensity(x=private, kernel=k.Gaussian(lengthscale=0.2), epsilon=1.0, delta=1e-7))
    assert plan.mu == density.mu == pytest.approx(client.private.spent(private)[0].mu)


def test_a_query_gives_the_bits_that_the_release_gives_by_itself(client, private, tmp_path):
    release = client.run(classifier(private, n_features=64))
    points = np.random.default_rng(1).random((300, 2))
    asked = client.run(mercer.PrivateDensityQuery(release=release, points=points))
    loaded = mercer.load_release(release.save(tmp_path / "release.npz"))
    for one, other in zip(asked, loaded(points), strict=True):
        np.testing.assert_array_equal(one, other)
    np.testing.assert_array_equal(asked.labels(), loaded.predict(points))


def test_a_batch_file_may_hold_classifiers_and_overspends_nothing(client, private):
    batch = client.batch({f"c{n}": classifier(private, delta=0.0, n_features=n) for n in (1, 2)}.items())
    assert {name: len(release.vector) for name, release in batch.results()} == {"c1": 9, "c2": 15}
    with pytest.raises(BudgetExceeded):
        client.submit_many([classifier(private, delta=0.0, n_features=n) for n in (1, 2)])


@pytest.mark.parametrize(
    ("fields", "pointer"),
    [
        ({"label_column": 3}, "/label_column"),
        ({"classes": [0, 0]}, "/classes"),
        ({"classes": [0, 3]}, "/classes"),
        ({"kernel": k.Gaussian(lengthscale=[0.2, 0.2, 0.2])}, "/kernel/lengthscale"),
        ({"epsilon": 1e-6, "delta": 0.0, "n_features": 16_384, "mechanism": "fourier"}, "/epsilon"),
        ({"mechanism": "spectral", "kernel": k.Exponential()}, "/mechanism"),
    ],
)
def test_a_classifier_that_cannot_be_made_is_refused_before_it_is_paid(client, private, fields, pointer):
    with pytest.raises(InvalidSpec) as refused:
        client.submit(classifier(private, **fields))
    assert refused.value.errors[0].pointer == pointer
    assert client.private.budget(private).releases == 0


def test_points_have_no_labels(client, private):
    release = client.run(classifier(private, n_features=4))
    with pytest.raises(InvalidSpec, match="do not fit"):
        client.submit(mercer.PrivateDensityQuery(release=release, points=np.ones((1, 3))))
    with pytest.raises(InvalidArray, match="without labels"):
        release(np.ones((1, 3)))


def test_the_shell_releases_and_classifies(client, private, url, monkeypatch, capsys, tmp_path):
    monkeypatch.setenv("MERCER_URL", url)
    name = private.reference.private
    words = ["--label-column", "2", "--classes", "0,1,2", "--kernel", "gaussian(lengthscale=0.2)", "--epsilon", "1"]
    assert main(["private-classifier", name, *words, "--delta", "1e-7", "--json"]) == 0
    release = json.loads(capsys.readouterr().out)["result"]["facts"]["release"]
    np.save(tmp_path / "points.npy", CORNERS)
    assert main(["private-density-query", release, str(tmp_path / "points.npy")]) == 0
    assert "3 points in 3 classes" in capsys.readouterr().out
