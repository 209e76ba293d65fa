"""Private classifiers: a record is in one class, so that the sums of all of them cost what one's do."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from sklearn.datasets import load_digits

from gpu.device import Device
from gpu.ops import private_density
from gpu.ops.private_classifier import exact, reference, run
from gpu.task import Task
from mercer.privacy.classifier import ClassifierAnswer, ClassifierRelease
from mercer.privacy.terms import Box, Neighbours, Terms
from mercer.specs.private_classifier import PrivateClassifier
from mercer.specs.private_density import PrivateDensity

CPU = Device("cpu")
BOX = Box([-1, 0, 0], [1, 3, 5])
"""Labels are the second column."""
CLASSES = (0.0, 1.0, 3.0)
HOSTILE = [math.nan, math.inf, -math.inf, 1e308, -0.0, 5e-324, 1.0, 2.5]
NUMBERS = st.sampled_from(HOSTILE) | st.floats(-6, 6)
LABELS = st.sampled_from([0.0, 1.0, 2.0, 3.0, 9.0, -7.0, math.nan, 0.5])
ROWS = st.tuples(NUMBERS, LABELS, NUMBERS)


def terms(neighbours=Neighbours.ADD_OR_REMOVE_ONE, box=BOX):
    return Terms(epsilon=100.0, delta=1e-3, neighbours=neighbours, domain=box, max_records=10_000)


def classifier(**fields):
    return PrivateClassifier(
        **{
            "x": PrivateClassifier.examples[0]["x"],
            "label_column": 1,
            "classes": CLASSES,
            "kernel": {"family": "gaussian", "lengthscale": 0.7},
            "epsilon": 1.0,
            "delta": 1e-6,
            "n_features": 40,
            "release_id": "0" * 32,
            **fields,
        }
    )


def labelled(n, seed):
    rng = np.random.default_rng(seed)
    records = rng.uniform(BOX.low, BOX.high, (n, 3))
    records[:, 1] = rng.integers(0, 4, n)
    return records


def released(spec, records, known):
    (answer,) = run([Task(spec, {"x": records}, about={"x": known})], CPU)
    return ClassifierRelease(answer.array(), answer.facts | {"release": "0" * 32})


@pytest.mark.parametrize("delta", [0.0, 1e-6])
@pytest.mark.parametrize("neighbours", list(Neighbours))
@given(records=st.lists(ROWS, min_size=1, max_size=6), other=ROWS, m=st.sampled_from([1, 7, 40]))
@settings(max_examples=40, deadline=None)
def test_neighbours_differ_by_no_more_than_the_recipe_says(neighbours, delta, records, other, m):
    spec, known = classifier(n_features=m, delta=delta), terms(neighbours)
    changed = records[1:] + ([other] if neighbours == Neighbours.CHANGE_ONE else [])
    one, two = (exact(spec, known, np.array(each, np.float64).reshape(-1, 3), CPU) for each in (records, changed))
    moved, recipe = [int(each) for each in one - two], spec.recipe(known)
    assert sum(map(abs, moved)) <= recipe.l1
    assert sum(each**2 for each in moved) <= recipe.l2**2


def test_a_record_that_changes_its_class_moves_two_classes_and_less_than_the_bound():
    spec, known = classifier(), terms(Neighbours.CHANGE_ONE)
    one, two = (exact(spec, known, np.array([[-1.0, label, 0.0]]), CPU) for label in (0.0, 3.0))
    moved = (one - two).reshape(3, -1)
    assert [bool(part.any()) for part in moved] == [True, False, True]
    assert np.sqrt((moved.astype(float) ** 2).sum()) == pytest.approx(spec.recipe(known).l2 / math.sqrt(2), rel=1e-3)


def test_the_sums_of_a_class_are_those_of_its_records_alone():
    records, spec, known = labelled(300, 0), classifier(), terms()
    found = exact(spec, known, records, CPU).reshape(3, -1)
    density = PrivateDensity(
        **{name: getattr(spec, name) for name in ("x", "kernel", "epsilon", "delta", "n_features", "release_id")}
    )
    plain = known.model_copy(update={"domain": Box([-1, 0], [1, 5])})
    recipe = density.recipe(plain)
    features = private_density.features_of(recipe, {})
    for label, sums in zip(CLASSES, found, strict=True):
        own = records[records[:, 1] == label][:, [0, 2]]
        np.testing.assert_array_equal(sums, private_density.exact(features, recipe, own, CPU))


def test_labels_out_of_the_box_are_moved_to_its_border_and_others_that_are_no_class_count_nowhere():
    spec, known = classifier(), terms()
    at = [[0.0, label, 1.0] for label in (-7.0, 0.0, 0.5, 2.0, 9.0, 3.0)]
    counts = exact(spec, known, np.array(at), CPU).reshape(3, -1)[:, -1] / spec.recipe(known).count_norm
    assert counts.tolist() == [2, 0, 2]


@pytest.mark.parametrize("neighbours", list(Neighbours))
@pytest.mark.parametrize("delta", [0.0, 1e-6])
def test_every_number_has_noise_of_its_own_as_wide_as_the_recipe_says(delta, neighbours):
    spec, known, records = classifier(delta=delta, n_features=1_000), terms(neighbours), labelled(5, 1)
    noise = released(spec, records, known).vector - exact(spec, known, records, CPU)
    x = noise / float(spec.recipe(known).scale)
    statistic, degrees = ((x**2).sum(), len(x)) if delta else (2 * np.abs(x).sum(), 2 * len(x))
    assert stats.chi2.ppf(5e-7, degrees) < statistic < stats.chi2.isf(5e-7, degrees)
    first, second, _ = noise.reshape(3, -1)
    assert abs(stats.spearmanr(first, second).statistic) < 6 / math.sqrt(len(first))


def test_sums_converge_to_those_of_the_classes():
    records, at = labelled(400, 2), np.random.default_rng(3).uniform([-1, 0], [1, 5], (50, 2))
    spec = classifier(n_features=16_384, epsilon=100.0, delta=1e-4)
    answer = released(spec, records, terms())(at)
    error = answer.sums - reference(spec, records, at)
    # All errors of a release may have one sign: six standard deviations even then.
    assert np.sqrt((error**2).mean()) < 6 * np.hypot(answer.noise_error[:, None], answer.approximation_error).mean()
    counts = [(records[:, 1] == label).sum() for label in CLASSES]
    np.testing.assert_allclose(answer.records, counts, atol=6 * spec.recipe(terms()).count_error)


def test_the_noise_of_a_difference_is_as_wide_as_it_says():
    spec, records = classifier(n_features=300, kernel={"family": "gaussian", "lengthscale": 0.02}), labelled(5, 4)
    at = np.random.default_rng(5).uniform([-1, 0], [1, 5], (800, 2))
    ratios = []
    for _ in range(5):
        release = released(spec, records, terms())
        true = ClassifierRelease(exact(spec, terms(), records, CPU), release.parameters)(at).sums
        answer = release(at)
        differences = np.diff(answer.sums - true, axis=1)[:, 0]
        ratios.append(np.sqrt((differences**2).mean()) / answer.difference_error[0])
    assert np.mean(ratios) == pytest.approx(1, abs=0.1)


def test_labels_are_of_the_largest_sum_or_of_the_largest_mean():
    sums, records = np.array([[6.0, 5.0], [-1.0, -2.0], [2.0, 4.0]]), np.array([30.0, 10.0])
    answer = ClassifierAnswer(np.array([7.0, 8.0]), sums, records, np.ones(3), np.ones((3, 2)))
    assert answer.labels().tolist() == [7, 7, 8]
    assert answer.labels("mean").tolist() == [8, 7, 8]
    np.testing.assert_allclose(answer.scores(), [[6 / 11, 5 / 11], [0.5, 0.5], [1 / 3, 2 / 3]])
    np.testing.assert_allclose(answer.scores("mean"), [[0.2 / 0.7, 0.5 / 0.7], [0.5, 0.5], [1 / 7, 6 / 7]])


def test_an_answer_travels_as_columns_and_facts():
    release = released(classifier(), labelled(20, 6), terms())
    answer = release(labelled(7, 7)[:, [0, 2]])
    again = ClassifierAnswer.of(answer.columns(), answer.facts())
    for one, other in zip(answer, again, strict=True):
        np.testing.assert_array_equal(one, other)


def test_the_parameters_are_those_of_any_records():
    one, two = (released(classifier(), labelled(n, n), terms()).parameters for n in (3, 2_500))
    assert one == two


def test_digits_are_told_apart():
    images, labels = load_digits(return_X_y=True)
    shuffled = np.random.default_rng(0).permutation(len(images))
    records = np.column_stack([images / 16, labels])[shuffled]
    box = Box([0.0] * 65, [1.0] * 64 + [9.0])
    spec = classifier(
        label_column=64,
        classes=list(range(10)),
        kernel={"family": "gaussian", "lengthscale": 1.5},
        delta=1e-5,
        n_features=None,
    )
    release = released(spec, records[:1_437], terms(box=box))
    found = release.predict(records[1_437:, :64])
    assert (found == records[1_437:, 64]).mean() > 0.8
