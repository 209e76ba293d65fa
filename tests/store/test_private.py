"""Private data sets in the store: terms once and for all, data replaced as a whole, apart from all other data sets."""

from contextlib import suppress
from functools import partial
from threading import Thread

import numpy as np
import pytest

from mercer.arrays import digest, to_npy
from mercer.errors import DigestMismatch, InvalidArray, Unavailable, UnknownDataset
from mercer.privacy.terms import Box, Neighbours, Terms
from store.local import LocalObjects
from store.private import PrivateDatasets, check, counted_bytes

TERMS = Terms(epsilon=1.0, neighbours=Neighbours.CHANGE_ONE, domain=Box([0, 0], [9, 9]), max_records=5)
OTHER = TERMS.model_copy(update={"epsilon": 100.0})
BODY = to_npy(np.arange(8.0).reshape(4, 2))
NAME, SECOND = "0123456789abcdef" * 2, "f" * 32


@pytest.fixture
def private(objects):
    return PrivateDatasets(objects, 2**20)


def put(private, body=BODY, name=NAME, said=None):
    with private.data.upload(name, digest(said or body), "npy", partial(check, TERMS)) as receiving:
        receiving.write(body)
        return receiving.commit()


def filled(number, n=4):
    return to_npy(np.full((n, 2), float(number)))


def test_terms_are_set_once(private):
    assert private.protect(NAME, TERMS) == TERMS
    assert private.protect(NAME, OTHER) == TERMS
    assert private.terms(NAME) == TERMS


def test_terms_come_before_the_data_and_outlive_them(private):
    with pytest.raises(UnknownDataset):
        private.terms(NAME)
    private.protect(NAME, TERMS)
    with pytest.raises(UnknownDataset, match="are not here"):
        private.open(NAME)
    put(private)
    assert private.data.delete(NAME)
    assert not private.data.delete(NAME)
    assert (private.terms(NAME), private.list(), private.data.names()) == (TERMS, [NAME], [])
    with pytest.raises(UnknownDataset, match="are not here"):
        private.open(NAME)


def test_what_was_put_is_read_with_its_terms(private):
    private.protect(NAME, TERMS)
    put(private)
    opened = private.open(NAME)
    assert opened.terms == TERMS
    np.testing.assert_array_equal(opened.matrix, np.arange(8.0).reshape(4, 2))


def test_data_without_terms_are_not_opened(private):
    put(private)
    with pytest.raises(UnknownDataset, match="POST its terms"):
        private.open(NAME)


def test_a_private_data_set_is_no_data_set_and_the_other_way_round(private, datasets, upload):
    private.protect(NAME, TERMS)
    put(private)
    assert datasets.info(digest(BODY)) is None
    assert list(datasets.list()) == []
    upload(BODY)
    assert datasets.info(digest(BODY)) is not None
    assert (private.list(), private.data.names()) == ([NAME], [NAME])


def test_tenants_are_apart(private):
    private.protect(NAME, TERMS)
    put(private)
    acme = private.of("acme")
    assert (acme.list(), acme.data.names(), acme.data.is_here(NAME)) == ([], [], False)
    assert acme.protect(NAME, OTHER) == OTHER
    assert private.terms(NAME) == TERMS
    with pytest.raises(UnknownDataset):
        acme.open(NAME)


@pytest.mark.parametrize("n", [1, 4, 5])
def test_new_data_replace_the_old_as_a_whole_and_whoever_reads_these_reads_on(private, objects, n):
    private.protect(NAME, TERMS)
    put(private)
    before = private.open(NAME).matrix
    put(private, filled(7, n))
    np.testing.assert_array_equal(private.open(NAME).matrix, np.full((n, 2), 7.0))
    np.testing.assert_array_equal(before, np.arange(8.0).reshape(4, 2))
    matrices = [entry.key for entry in objects.keys("private/") if entry.key.endswith(".npy")]
    assert len(matrices) == 1, "of the old data nothing is left"


def test_the_same_data_again_are_taken_as_any_others(private):
    private.protect(NAME, TERMS)
    first, again = put(private), put(private)
    assert (first.shape, first.digest) == (again.shape, again.digest)
    np.testing.assert_array_equal(private.open(NAME).matrix, np.arange(8.0).reshape(4, 2))


def test_nothing_in_the_store_is_named_by_the_data_or_holds_their_digest(private, objects):
    private.protect(NAME, TERMS)
    put(private)
    secret = digest(BODY).removeprefix("sha256:")
    for entry in objects.keys(""):
        assert secret not in entry.key
        assert secret.encode() not in b"".join(objects.read(entry.key))


@pytest.mark.parametrize(
    ("body", "said", "error"),
    [
        (filled(7, 6), filled(7, 6), InvalidArray),
        (to_npy(np.ones((3, 3))), to_npy(np.ones((3, 3))), InvalidArray),
        (filled(7), BODY, DigestMismatch),
        (filled(7)[:-8], filled(7)[:-8], InvalidArray),
    ],
    ids=["too many", "too wide", "others than were said", "too short"],
)
def test_data_that_are_refused_leave_the_old_ones_and_nothing_of_themselves(private, objects, body, said, error):
    private.protect(NAME, TERMS)
    put(private)
    before = {entry.key for entry in objects.keys("")}
    with pytest.raises(error):
        put(private, body, said=said)
    assert {entry.key for entry in objects.keys("")} == before
    np.testing.assert_array_equal(private.open(NAME).matrix, np.arange(8.0).reshape(4, 2))


@pytest.mark.parametrize(("shape", "why"), [((6, 2), "at most max_records = 5"), ((3, 3), "records of 2 numbers")])
def test_data_that_do_not_fit_their_terms_are_refused_without_their_number(private, shape, why):
    private.protect(NAME, TERMS)
    with pytest.raises(InvalidArray, match=why) as refused:
        put(private, to_npy(np.ones(shape)))
    assert "6" not in str(refused.value)


class Dies(Exception):
    """The process."""


class DyingObjects(LocalObjects):
    """Dies when it is asked for the n-th time to commit or delete a private object."""

    steps = None

    def writer(self, key, **options):
        if key.endswith(".json"):
            self._step()
        return super().writer(key, **options)

    def delete(self, key):
        self._step()
        return super().delete(key)

    def _step(self):
        if self.steps is not None:
            self.steps -= 1
            if self.steps < 0:
                raise Dies


@pytest.mark.parametrize("steps", range(4))
def test_a_replacement_that_dies_at_any_step_leaves_the_old_data_or_the_new_ones_whole(tmp_path, steps):
    objects = DyingObjects(tmp_path)
    private = PrivateDatasets(objects, 2**20)
    private.protect(NAME, TERMS)
    put(private, filled(1))
    objects.steps = steps
    with suppress(Dies):
        put(private, filled(2, 3))
    objects.steps = None
    kept = private.open(NAME).matrix
    np.testing.assert_array_equal(kept, np.full((4, 2), 1.0) if steps == 0 else np.full((3, 2), 2.0))
    put(private, filled(3))
    np.testing.assert_array_equal(private.open(NAME).matrix, np.full((4, 2), 3.0))
    assert private.data.delete(NAME)
    assert list(objects.keys("private/")) == []


@pytest.mark.parametrize("steps", range(5))
def test_a_deletion_that_dies_at_any_step_brings_no_older_data_back(tmp_path, steps):
    objects = DyingObjects(tmp_path)
    private = PrivateDatasets(objects, 2**20)
    private.protect(NAME, TERMS)
    put(private, filled(1))
    objects.steps = 1
    with suppress(Dies):
        put(private, filled(2))  # dies with both there
    objects.steps = steps
    with suppress(Dies):
        private.data.delete(NAME)
    objects.steps = None
    if private.data.is_here(NAME):
        np.testing.assert_array_equal(private.open(NAME).matrix, np.full((4, 2), 2.0))
    private.data.delete(NAME)
    assert list(objects.keys("private/")) == []


def test_of_uploads_at_once_one_stays_and_readers_always_find_one_whole(tmp_path):
    private = PrivateDatasets(LocalObjects(tmp_path), 2**20)
    private.protect(NAME, TERMS)
    put(private, filled(0))
    writers = [
        Thread(target=lambda number=number: [put(private, filled(number)) for _ in range(20)]) for number in (1, 2, 3)
    ]
    for writer in writers:
        writer.start()
    while any(writer.is_alive() for writer in writers):
        seen = private.open(NAME).matrix
        assert seen.shape == (4, 2)
        assert (seen == seen[0, 0]).all()
    for writer in writers:
        writer.join()
    assert private.open(NAME).matrix[0, 0] in (1, 2, 3)
    assert len([entry for entry in private._objects.keys("private/") if entry.key.endswith(".npy")]) == 1


def test_data_are_counted_by_their_terms_alone(private):
    for name, body in ((NAME, filled(0, 1)), (SECOND, filled(0, 5))):
        private.protect(name, TERMS)
        assert private.data.names() == [NAME][: name == SECOND]
        put(private, body, name)
    assert private.counted_bytes() == 2 * counted_bytes(TERMS) == 2 * 5 * 2 * 8
    private.data.delete(NAME)
    assert private.counted_bytes() == counted_bytes(TERMS)


def test_a_full_store_does_not_tell_how_full_it_is(tmp_path):
    with pytest.raises(Unavailable) as refused, LocalObjects(tmp_path).writer("results/a", expected_bytes=2**60):
        pass
    assert refused.value.detail == f"The store is full: expected room for {2**60:,} bytes, got less."
