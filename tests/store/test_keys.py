from datetime import UTC, date, datetime, timedelta

import pytest

from mercer.keys import Scope
from store.keys import ApiKeys

READ = frozenset({Scope.JOBS_READ})


@pytest.fixture
def keys(objects):
    return ApiKeys(objects)


@pytest.fixture
def made(keys):
    return keys.create("laptop", "acme", READ, None)


def test_a_key_is_found_by_its_text(keys, made):
    found = keys.find(made.key)
    assert (found.id, found.name, found.tenant, found.scopes) == (made.id, "laptop", "acme", READ)


def test_keys_outlive_the_process_that_made_them(objects, made):
    assert ApiKeys(objects).find(made.key).id == made.id


def test_the_store_holds_no_secret(objects, made):
    secret = made.key.rpartition("_")[2]
    stored = [b"".join(objects.read(entry.key)).decode() + entry.key for entry in objects.keys("")]
    assert stored
    assert not [text for text in stored if secret in text]


def test_a_key_is_not_shown_by_its_repr(made):
    assert made.key not in repr(made)


@pytest.mark.parametrize(
    "change", [lambda key: key[:-1] + ("0" if key[-1] != "0" else "1"), str.upper, lambda key: key[:-1]]
)
def test_a_text_that_is_nearly_a_key_is_none(keys, made, change):
    assert keys.find(change(made.key)) is None


@pytest.mark.parametrize(
    "text", ["", "mk_", "mk_" + "0" * 16 + "_" + "0" * 64, "../../etc/passwd", "mk_../x_" + "0" * 64]
)
def test_any_other_text_is_no_key(keys, text):
    assert keys.find(text) is None


def test_a_revoked_key_is_gone(keys, made, objects):
    keys.note_use(made.id, date(2026, 1, 1))
    assert keys.revoke(made.id)
    assert (keys.find(made.key), keys.list(), keys.revoke(made.id)) == (None, [], False)
    assert [*objects.keys("keys/")] == []


def test_keys_are_listed_newest_first_with_the_day_of_their_last_use(keys):
    first, second = (keys.create(name, "acme", READ, None) for name in "ab")
    for day in (1, 2, 2):
        keys.note_use(first.id, date(2026, 1, day))
    assert [(key.name, key.last_used_on) for key in keys.list()] == [("b", None), ("a", date(2026, 1, 2))]
    assert second.id == keys.list()[0].id


def test_an_expiry_is_kept(keys):
    until = datetime.now(UTC) + timedelta(days=1)
    assert keys.find(keys.create("k", "acme", READ, until).key).expires_at == until
