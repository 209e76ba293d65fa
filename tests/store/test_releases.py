"""Releases in the store: the first that is published under an id is the one for ever."""

import hashlib
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier

import numpy as np
import pytest

from mercer.arrays import to_npy
from mercer.errors import UnknownRelease
from store.releases import Releases

RELEASE = "0123456789abcdef" * 2
VECTOR = np.array([2**62, -(2**62), 0, 7])
PARAMETERS = {"kind": "private_density", "noise_scale": "1/3"}


@pytest.fixture
def releases(objects):
    return Releases(objects)


def test_what_was_published_is_read_bit_for_bit(releases):
    made = releases.publish(RELEASE, VECTOR, PARAMETERS)
    for release in (made, releases.known(RELEASE)):
        np.testing.assert_array_equal(release.vector, VECTOR)
        assert release.vector.dtype == np.int64
        assert b"".join(releases.read(release)) == to_npy(VECTOR)
        assert b"".join(releases.read(release, 10, 20)) == to_npy(VECTOR)[10:20]


def test_the_parameters_name_the_release_and_the_hash_of_its_numbers(releases):
    stated = releases.publish(RELEASE, VECTOR, PARAMETERS).parameters
    hashed = hashlib.sha256(to_npy(VECTOR)).hexdigest()
    assert stated == PARAMETERS | {"release": RELEASE, "vector_sha256": hashed}


def test_a_second_publication_gives_the_first(releases):
    releases.publish(RELEASE, VECTOR, PARAMETERS)
    again = releases.publish(RELEASE, VECTOR + 1, PARAMETERS | {"kind": "other"})
    np.testing.assert_array_equal(again.vector, VECTOR)
    assert again.parameters["kind"] == "private_density"
    assert releases.list() == [RELEASE]


def test_of_many_that_publish_at_once_all_are_given_one(releases):
    start = Barrier(8, timeout=60)

    def publish(number):
        start.wait()
        return releases.publish(RELEASE, VECTOR + number, PARAMETERS).vector

    with ThreadPoolExecutor(8) as threads:
        given = list(threads.map(publish, range(8)))
    assert all((one == given[0]).all() for one in given)
    np.testing.assert_array_equal(releases.known(RELEASE).vector, given[0])


def test_what_was_not_published_is_unknown(releases):
    assert releases.find(RELEASE) is None
    with pytest.raises(UnknownRelease, match=RELEASE):
        releases.known(RELEASE)


def test_tenants_are_apart(releases):
    releases.publish(RELEASE, VECTOR, PARAMETERS)
    acme = releases.of("acme")
    assert (acme.find(RELEASE), acme.list()) == (None, [])
    acme.publish(RELEASE, VECTOR + 1, PARAMETERS)
    np.testing.assert_array_equal(releases.known(RELEASE).vector, VECTOR)


@pytest.mark.parametrize(
    "wrong", ["", "..", "../keys", "a/b", " ", "0" * 31, "0" * 33, "A" * 32, RELEASE + "\n", "\u0660" * 32]
)
def test_what_is_no_id_is_an_unknown_release(releases, wrong):
    assert releases.find(wrong) is None
    with pytest.raises(UnknownRelease):
        releases.known(wrong)
