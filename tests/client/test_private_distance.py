"""Private sums of distances, through the whole service."""

import json
from uuid import uuid4

import numpy as np
import pytest

import mercer
from mercer.cli import main
from mercer.errors import InvalidSpec

BOX = mercer.Box(low=(0.0, 0.0), high=(1.0, 3.0))
POINTS = np.random.default_rng(1).uniform((0, 0), (1, 3), (40, 2))


@pytest.fixture
def records():
    """Others in every test: budgets are for ever."""
    return np.random.default_rng(uuid4().int).beta(2, 5, size=(500, 2)) * (1, 3)


@pytest.fixture
def private(client, records):
    return client.private.protect(
        records, epsilon=20.0, delta=1e-6, neighbours="add_or_remove_one", domain=BOX, max_records=1_000
    )


def test_a_release_of_distances_is_planned_made_asked_and_taken_along(client, private, records, tmp_path):
    spec = mercer.PrivateDistance(x=private, distance="l1", epsilon=2.0)
    plan = client.plan(spec)
    assert (plan.affordable, plan.epsilon, plan.details["mechanism"]) == (True, 2, "spectral")
    release = client.run(spec)
    assert isinstance(release, mercer.DistanceRelease)
    asked = client.run(mercer.PrivateDensityQuery(release=release, points=POINTS))
    offline = mercer.load_release(release.save(tmp_path / "release.npz"))(POINTS)
    assert isinstance(asked, mercer.DistanceAnswer)
    for first, second in zip(asked, offline, strict=True):
        np.testing.assert_array_equal(first, second)
    assert asked.noise_error.max() <= plan.details["noise_error"] < 4.5 * 4 * 2**0.5 / 2
    exact = np.abs(records[:, None] - POINTS).sum(axis=(0, 2))
    assert (np.abs(asked.sums - exact) < 8 * asked.noise_error + asked.approximation_error).all()
    assert abs(asked.records - len(records)) < 12 * release.parameters["count_error"]
    assert [one.kind for one in client.private.spent(private)] == ["private_distance"]


def test_a_batch_file_may_hold_releases_of_every_distance(client, private):
    fields = {
        "l2": {"distance": "l2", "delta": 1e-7, "n_directions": 16},
        "l2_squared": {"distance": "l2_squared"},
        "lp_p": {"distance": "lp_p", "p": 1.5},
        "tree": {"distance": "l1", "mechanism": "tree", "cells": 64, "consistent": True},
        "rings": {"distance": "l1", "mechanism": "tree_rings", "cells": 64},
    }
    specs = {name: mercer.PrivateDistance(x=private, epsilon=1.0, **rest) for name, rest in fields.items()}
    releases = dict(client.batch(specs.items()).results())
    assert {name: release.parameters["distance"] for name, release in releases.items()} == {
        name: rest["distance"] for name, rest in fields.items()
    }
    assert client.private.budget(private).releases == len(fields)


def test_what_cannot_be_released_is_refused_before_it_is_paid(client, private):
    with pytest.raises(InvalidSpec) as refused:
        client.submit(mercer.PrivateDistance(x=private, distance="l2_squared", epsilon=1e-6))
    assert refused.value.errors[0].pointer == "/epsilon"
    assert client.private.budget(private).releases == 0


def test_the_shell_releases_distances_and_asks_for_them(url, private, monkeypatch, capsys, tmp_path):
    monkeypatch.setenv("MERCER_URL", url)
    words = ["--distance", "lp_p", "--p", "2", "--epsilon", "1"]
    assert main(["private-distance", private.name, *words, "--json"]) == 0
    release = json.loads(capsys.readouterr().out)["result"]["facts"]["release"]
    np.save(tmp_path / "points.npy", POINTS)
    assert main(["private-density-query", release, str(tmp_path / "points.npy")]) == 0
    assert "sums of distances at 40 points" in capsys.readouterr().out
