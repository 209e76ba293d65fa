"""Landmark releases: what one record moves, how wide the noise is, and what is said of landmarks that do not fit."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.lib.stride_tricks import sliding_window_view
from sklearn.datasets import load_sample_images

from gpu.device import Device
from gpu.ops.private_density import exact, features_of, reference, run
from gpu.task import Task
from mercer.points import PrivateReference
from mercer.privacy.accounting import Budget
from mercer.privacy.density import DensityRelease
from mercer.privacy.fourier import SPECTRA
from mercer.privacy.mechanisms.landmarks import BITS, WEIGHT, default_probes, on_grid, parts_of
from mercer.privacy.terms import Box, Neighbours, Terms
from mercer.specs.private_density import PrivateDensity

CPU = Device("cpu")
BOX = Box([-1, 0], [1, 5])
HOSTILE = [math.nan, math.inf, -math.inf, 1e308, -1e308, -0.0, 5e-324, 1.0, -1.0, 5.0, 2.5]
NUMBERS = st.sampled_from(HOSTILE) | st.floats(-6, 6) | st.floats()
RECORDS = st.lists(st.tuples(NUMBERS, NUMBERS), min_size=1, max_size=6)


def terms(neighbours=Neighbours.ADD_OR_REMOVE_ONE, box=BOX):
    return Terms(epsilon=100.0, delta=1e-3, neighbours=neighbours, domain=box, max_records=10_000)


def inside(n, seed, box=BOX):
    return np.random.default_rng(seed).uniform(box.low, box.high, (n, box.d))


def density(landmarks, **fields):
    return PrivateDensity(
        **{
            "x": PrivateReference(private="0" * 32),
            "kernel": {"family": "gaussian", "lengthscale": 0.7},
            "epsilon": 1.0,
            "delta": 1e-6,
            "landmarks": landmarks,
            "release_id": "0" * 32,
            **fields,
        }
    )


def public(spec):
    return {name: one for name, one in (("landmarks", spec.landmarks), ("probes", spec.probes)) if one is not None}


def recipe_of(spec, known):
    return spec.recipe(known, {name: len(one) for name, one in public(spec).items()})


def released(spec, records, known):
    (answer,) = run([Task(spec, {"x": records, **public(spec)}, about={"x": known})], CPU)
    return DensityRelease(answer.array(), answer.facts | {"release": "0" * 32})


def sums(spec, records, known):
    recipe = recipe_of(spec, known)
    return [int(one) for one in exact(features_of(recipe, public(spec)), recipe, records, CPU)]


@pytest.mark.parametrize("delta", [0.0, 1e-6])
@pytest.mark.parametrize("neighbours", list(Neighbours))
@given(records=RECORDS, other=st.tuples(NUMBERS, NUMBERS), count=st.sampled_from([1, 5, 40]))
@settings(max_examples=25, deadline=None)
def test_neighbours_differ_by_no_more_than_the_recipe_says(neighbours, delta, records, other, count):
    spec, known = density(inside(count, 1), delta=delta), terms(neighbours)
    changed = records[1:] + ([other] if neighbours == Neighbours.CHANGE_ONE else [])
    one, two = (sums(spec, np.array(each, np.float64).reshape(-1, 2), known) for each in (records, changed))
    moved, recipe = [a - b for a, b in zip(one, two, strict=True)], recipe_of(spec, known)
    assert sum(map(abs, moved)) <= recipe.l1
    assert sum(each**2 for each in moved) <= recipe.l2**2


def test_the_bound_is_met_by_a_record_at_a_landmark_that_is_a_probe_too():
    landmarks = inside(40, 1)
    spec = density(landmarks, probes=landmarks[:20])
    at, known = on_grid(BOX, landmarks[:1]), terms()
    moved = np.array(sums(spec, at, known), float) - np.array(sums(spec, at[:0], known), float)
    assert np.sqrt((moved**2).sum()) == pytest.approx(recipe_of(spec, known).l2, rel=1e-4)


@pytest.mark.parametrize("share", [0.01, 0.1, 0.3, 0.5])
@pytest.mark.parametrize("delta", [0.0, 1e-6])
def test_the_probes_get_nearly_their_share_and_no_more(delta, share):
    recipe = recipe_of(density(inside(900, 1), delta=delta, check_share=share), terms())
    probes = recipe.blocks[1]
    if delta:
        got = recipe.probe_weight**2 * probes.l2_squared("add_or_remove_one") / recipe.l2**2
    else:
        got = recipe.probe_weight * probes.l1("add_or_remove_one") / recipe.l1
    assert 0.7 * share <= got <= share


@pytest.mark.parametrize("neighbours", list(Neighbours))
@pytest.mark.parametrize("epsilon", [0.01, 1.0, 20.0])
@pytest.mark.parametrize("delta", [0.0, 1e-6])
def test_what_is_charged_is_what_was_asked_for_and_no_less_than_the_noise_costs(delta, epsilon, neighbours):
    spec = density(inside(50, 1), delta=delta, epsilon=epsilon)
    recipe = recipe_of(spec, terms(neighbours))
    assert Budget.of(epsilon, delta).admits(recipe.loss)
    if delta:
        assert recipe.loss.mu2 * 2.0**-40 >= (recipe.l2 / recipe.scale) ** 2
    else:
        assert recipe.loss.epsilon * 1e-6 >= recipe.l1 / recipe.scale * (1 - 1e-15)


@pytest.mark.parametrize("delta", [0.0, 1e-6])
def test_answers_are_the_features_times_the_released_sums(delta):
    spec, at = density(inside(60, 1), delta=delta), inside(30, 2)
    release = released(spec, inside(500, 3), terms())
    features = features_of(recipe_of(spec, terms()), public(spec)).landmarks
    noisy = parts_of(release.vector, release.parameters).features / (WEIGHT * 2.0**BITS)
    np.testing.assert_allclose(
        release(at).sums, features.values(at) @ noisy, rtol=1e-8, atol=1e-8 * np.abs(noisy).max()
    )


@pytest.mark.parametrize("spectrum", SPECTRA)
def test_at_the_landmarks_the_answers_converge_to_the_kernel_sums(spectrum):
    family = {"family": spectrum} if not spectrum.startswith("rational") else {"family": "rational", "of": spectrum[9:]}
    landmarks, records = inside(80, 1), inside(400, 2)
    for epsilon in (1.0, 30.0, 500.0):
        spec = density(landmarks, kernel={**family, "lengthscale": 0.7}, epsilon=epsilon, delta=1e-3)
        release = released(spec, records, terms())
        error = release(landmarks).sums - reference(spec, records, landmarks)
        # All errors of a release may have one sign: six standard deviations even then.
        assert np.sqrt((error**2).mean()) < 6 * release.parameters["noise_error"] + 1e-5 * len(records)


@pytest.mark.parametrize("neighbours", list(Neighbours))
@pytest.mark.parametrize("delta", [0.0, 1e-6])
def test_the_noise_error_is_that_of_the_noise(delta, neighbours):
    """The deviation over releases at landmarks far apart, where it is independent: 2 % for 2,400 numbers."""
    spec = density(inside(120, 1), delta=delta, kernel={"family": "gaussian", "lengthscale": 0.02})
    records, known = inside(50, 2), terms(neighbours)
    answers = [released(spec, records, known)(spec.landmarks) for _ in range(20)]
    error = np.concatenate([one.sums - reference(spec, records, spec.landmarks) for one in answers])
    assert np.sqrt((error**2).mean()) == pytest.approx(float(answers[0].noise_error[0]), rel=0.08 if delta else 0.12)


def patches(image, count, seed):
    """8 x 8 grey ones, as rows."""
    every = sliding_window_view(image.mean(axis=2) / 255, (8, 8)).reshape(-1, 64)
    return every[np.random.default_rng(seed).choice(len(every), count, replace=False)]


CUBE = Box([0.0] * 64, [1.0] * 64)


@pytest.fixture(scope="module")
def images():
    return load_sample_images().images


def patch_release(images, landmarks, **fields):
    spec = density(landmarks, kernel={"family": "gaussian", "lengthscale": 1.0}, **fields)
    return released(spec, patches(images[0], 6_000, 0), terms(box=CUBE))


def test_landmarks_that_are_like_the_data_fit(images):
    release = patch_release(images, patches(images[0], 400, 1))
    assert release.parameters["landmarks_fit"] is True
    assert "fit the data" in str(release)
    true = patches(images[0], 100, 2)
    answer = release(true)
    error = answer.sums - reference(
        density(true, kernel={"family": "gaussian", "lengthscale": 1.0}), patches(images[0], 6_000, 0), true
    )
    assert np.sqrt((error**2).mean()) < 6 * np.hypot(answer.noise_error, answer.approximation_error).max()


@pytest.mark.parametrize("others", ["another image", "noise", "one point"])
def test_landmarks_that_are_not_are_flagged(images, others):
    landmarks = {
        "another image": patches(images[1], 400, 1),
        "noise": np.random.default_rng(1).random((400, 64)),
        "one point": np.zeros((1, 64)),
    }[others]
    release = patch_release(images, landmarks)
    assert release.parameters["landmarks_fit"] is False
    assert "DO NOT FIT" in str(release)


def test_they_are_flagged_by_probes_that_are_given_too(images):
    release = patch_release(images, patches(images[1], 400, 1), probes=patches(images[0], 100, 2))
    assert release.parameters["landmarks_fit"] is False


def test_probes_without_data_near_them_tell_nothing(images):
    far = 0.5 + 0.5 * np.sign(np.random.default_rng(3).normal(size=(100, 64)))
    release = patch_release(images, patches(images[1], 400, 1), probes=far)
    assert release.parameters["landmarks_fit"] is None
    assert "unknown" in str(release)


def test_the_measured_error_is_the_error_at_the_probes():
    landmarks, probes, records = inside(4, 1), inside(200, 2), inside(800, 3)
    spec = density(landmarks, probes=probes, epsilon=400.0, delta=1e-3)
    release = released(spec, records, terms())
    at = on_grid(BOX, probes)
    true = np.sqrt(((release(at).sums - reference(spec, records, at)) ** 2).mean())
    assert release.parameters["approximation_error"] == pytest.approx(true, rel=0.02)


def test_default_probes_lie_in_the_box_and_come_from_the_seed():
    landmarks = inside(10, 1)
    one, again, other = (default_probes(BOX, landmarks, 90, seed) for seed in (0, 0, 1))
    assert ((one >= BOX.low) & (one <= BOX.high)).all()
    np.testing.assert_array_equal(one, again)
    assert not np.array_equal(one, other)


def test_a_release_states_its_landmarks_where_they_were_put():
    spec = density(inside(12, 1) * 1.3, probes=inside(20, 2))
    release = released(spec, inside(10, 3), terms())
    parts = parts_of(release.vector, release.parameters)
    for stated, asked in ((parts.landmarks, spec.landmarks), (parts.probed, spec.probes)):
        wanted = np.clip(asked, BOX.low, BOX.high)
        assert (np.abs(stated - wanted) <= np.subtract(BOX.high, BOX.low) * 2.0**-21 * 1.001).all()
        np.testing.assert_array_equal(on_grid(BOX, stated), stated)
