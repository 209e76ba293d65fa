"""Private data sets in the store: terms once and for all, apart from every other data set and tenant."""

import numpy as np
import pytest

from mercer.arrays import digest, to_npy
from mercer.errors import InvalidArray, UnknownDataset
from mercer.privacy.terms import Box, Neighbours, Terms
from store.private import PrivateDatasets

TERMS = Terms(epsilon=1.0, neighbours=Neighbours.CHANGE_ONE, domain=Box([0, 0], [9, 9]), max_records=5)
OTHER = TERMS.model_copy(update={"epsilon": 100.0})
BODY = to_npy(np.arange(8.0).reshape(4, 2))
NAME = digest(BODY)


@pytest.fixture
def private(objects):
    return PrivateDatasets(objects, 2**20)


def put(private, body=BODY):
    with private.data.upload(digest(body), "npy") as receiving:
        receiving.write(body)
        return receiving.commit()


def test_terms_are_set_once(private):
    assert private.protect(NAME, TERMS) == TERMS
    assert private.protect(NAME, OTHER) == TERMS
    assert private.terms(NAME) == TERMS


def test_terms_come_before_the_data_and_outlive_them(private):
    assert not private.is_protected(NAME)
    private.protect(NAME, TERMS)
    assert private.is_protected(NAME)
    with pytest.raises(UnknownDataset):
        private.open(NAME)
    put(private)
    assert private.data.delete(NAME)
    assert (private.terms(NAME), private.list()) == (TERMS, [NAME])
    with pytest.raises(UnknownDataset):
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
    assert datasets.info(NAME) is None
    assert list(datasets.list()) == []
    public = upload(to_npy(np.ones((2, 2))))
    assert private.data.info(public.digest) is None
    assert private.list() == [NAME]


def test_private_data_of_another_tenant_are_private_too(private, datasets):
    body = to_npy(np.full((2, 2), 3.0))
    with private.data.of("acme").upload(digest(body), "npy") as receiving:
        receiving.write(body)
        receiving.commit()
    assert datasets.of("acme").info(digest(body)) is None
    assert private.of("acme").data.info(digest(body)) is not None


def test_tenants_are_apart(private):
    private.protect(NAME, TERMS)
    put(private)
    acme = private.of("acme")
    assert (acme.list(), acme.is_protected(NAME), acme.data.info(NAME)) == ([], False, None)
    assert acme.protect(NAME, OTHER) == OTHER
    assert private.terms(NAME) == TERMS
    with pytest.raises(UnknownDataset):
        acme.open(NAME)


@pytest.mark.parametrize(("shape", "why"), [((6, 2), "at most max_records = 5"), ((3, 3), "records of 2 numbers")])
def test_data_that_do_not_fit_their_terms_are_refused_without_their_number(private, shape, why):
    body = to_npy(np.ones(shape))
    private.protect(digest(body), TERMS)
    with pytest.raises(InvalidArray, match=why) as refused:
        private.check(digest(body), put(private, body))
    assert "6" not in str(refused.value)


@pytest.mark.parametrize("shape", [(6, 2), (3, 3)])
def test_data_whose_check_never_came_are_not_opened_nor_is_their_number_told(private, shape):
    body = to_npy(np.ones(shape))
    private.protect(digest(body), TERMS)
    put(private, body)
    with pytest.raises(UnknownDataset, match="No data that fit the terms") as refused:
        private.open(digest(body))
    assert "6" not in str(refused.value).replace(digest(body), "")


def test_data_that_fit_their_terms_are_accepted(private):
    private.protect(NAME, TERMS)
    private.check(NAME, put(private))
