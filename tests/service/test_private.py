"""What the service tells and refuses of private data sets."""

import hashlib
from base64 import b64encode

import numpy as np
import pytest

from mercer.arrays import digest, to_npy
from tests.service.conftest import assert_problem, digested

BODY = to_npy(np.arange(2_000.0).reshape(1_000, 2))
NAME, OTHER = "0123456789abcdef" * 2, "f" * 32
DATA = f"/v1/private/{NAME}/data"
TERMS = {
    "epsilon": 1.0,
    "delta": 0.0,
    "neighbours": "change_one",
    "domain": {"low": [0, 0], "high": [1, 1]},
    "max_records": 2_000,
}
PROTECTION = {"name": NAME, "terms": TERMS}
SHA_256 = digested(BODY)["content-digest"]


@pytest.fixture
async def protected(client):
    answer = await client.post("/v1/private", json=PROTECTION)
    assert answer.status_code == 201
    return answer.json()


async def test_a_name_that_is_given_is_kept_and_the_same_again_is_fine(client, protected):
    assert (protected["name"], protected["uploaded"], protected["releases"]) == (NAME, False, 0)
    again = await client.post("/v1/private", json=PROTECTION)
    assert (again.status_code, again.json()) == (201, protected)


async def test_without_a_name_each_gets_a_random_one(client):
    names = {(await client.post("/v1/private", json={"terms": TERMS})).json()["name"] for _ in range(3)}
    assert len(names) == 3
    assert sorted(one["name"] for one in (await client.get("/v1/private")).json()["private"]) == sorted(names)


@pytest.mark.parametrize("name", ["", "A" * 32, "0" * 31, "0" * 33, "sha256:" + "0" * 64])
async def test_a_name_of_another_form_is_refused(client, name):
    answer = await client.post("/v1/private", json={"name": name, "terms": TERMS})
    assert_problem(answer, 400, "invalid-request", detail="name: ")


@pytest.mark.parametrize(
    "changed", [{"epsilon": 2.0}, {"delta": 1e-9}, {"neighbours": "add_or_remove_one"}, {"max_records": 1}]
)
@pytest.mark.parametrize("deleted", [False, True])
async def test_a_name_is_never_given_other_terms(client, protected, changed, deleted):
    if deleted:
        assert (await client.put(DATA, content=BODY, headers=digested(BODY))).status_code == 201
        assert (await client.delete(f"/v1/private/{NAME}")).status_code == 204
    answer = await client.post("/v1/private", json={"name": NAME, "terms": TERMS | changed})
    assert_problem(answer, 409, "already-protected")
    assert (await client.get(f"/v1/private/{NAME}")).json() == protected


async def test_data_are_uploaded_replaced_and_deleted(client, protected):
    for body in (BODY, BODY, to_npy(np.ones((3, 2)))):
        answer = await client.put(DATA, content=body, headers=digested(body))
        assert (answer.status_code, answer.json()) == (201, protected | {"uploaded": True})
    assert (await client.delete(f"/v1/private/{NAME}")).status_code == 204
    assert_problem(await client.delete(f"/v1/private/{NAME}"), 404, "unknown-dataset")
    assert (await client.get(f"/v1/private/{NAME}")).json() == protected


async def test_data_without_terms_are_refused(client):
    answer = await client.put(DATA, content=BODY, headers=digested(BODY))
    assert_problem(answer, 404, "unknown-dataset", detail="POST its terms")


@pytest.mark.parametrize(
    "field",
    [
        None,
        "",
        "sha-256=abc",
        SHA_256[:-1],
        SHA_256.replace("sha-256", "sha-512"),
        digest(BODY),
        "sha-256=:" + b64encode(b"x" * 31).decode() + ":",
    ],
)
async def test_without_a_digest_of_the_body_nothing_is_taken(client, protected, field):
    headers = {"content-type": "application/x-npy"} | ({} if field is None else {"content-digest": field})
    answer = await client.put(DATA, content=BODY, headers=headers)
    assert_problem(answer, 400, "invalid-request", detail="Content-Digest: sha-256=:")
    assert not (await client.get(f"/v1/private/{NAME}")).json()["uploaded"]


@pytest.mark.parametrize(
    "field", [f" {SHA_256} ", f"sha-512=:eHg=:,{SHA_256}", f"sha-256=:{'A' * 43}=:, {SHA_256}", f"{SHA_256},unixsum=1"]
)
async def test_digests_of_other_algorithms_are_ignored_and_of_several_the_last_counts(client, protected, field):
    headers = digested(BODY) | {"content-digest": field}
    assert (await client.put(DATA, content=BODY, headers=headers)).status_code == 201


async def test_a_body_that_is_not_what_its_digest_says_replaces_nothing(client, protected):
    other = hashlib.sha256(b"other").digest()
    headers = digested(BODY) | {"content-digest": f"sha-256=:{b64encode(other).decode()}:"}
    assert_problem(await client.put(DATA, content=BODY, headers=headers), 422, "digest-mismatch")
    assert not (await client.get(f"/v1/private/{NAME}")).json()["uploaded"]


async def test_the_data_are_in_no_list_of_data_sets_and_nowhere_under_their_digest(client, protected):
    assert (await client.put(DATA, content=BODY, headers=digested(BODY))).status_code == 201
    assert (await client.get("/v1/datasets")).json() == {"datasets": []}
    assert (await client.get(f"/v1/datasets/{digest(BODY)}")).status_code == 404
    assert (await client.put(f"/v1/datasets/{digest(BODY)}", content=BODY, headers=digested(BODY))).status_code == 201
    second = await client.post("/v1/private", json={"name": OTHER, "terms": TERMS})
    assert second.status_code == 201, "that the same bytes are here as a public data set is nobody's to compare"


@pytest.mark.parametrize("body", [BODY, BODY[:-8]])
async def test_metrics_count_private_uploads_and_tell_nothing_of_how_long_they_took(client, protected, body):
    status = (await client.put(DATA, content=body, headers=digested(body))).status_code
    assert status == (201 if body == BODY else 422)
    shown = (await client.get("/metrics")).text
    labels = f'{{method="PUT",route="/v1/private/{{name}}/data",status="{status}"}}'
    assert f"mercer_http_request_duration_seconds_count{labels} 1.0\n" in shown
    assert f"mercer_http_request_duration_seconds_sum{labels} 0.0\n" in shown


class TestQuota:
    """Private data are counted by their terms: 2,000 records of 2 numbers, whatever there are."""

    @pytest.fixture
    def settings(self, settings):
        return settings.model_copy(update={"max_tenant_bytes": 40_000})

    @pytest.mark.parametrize("n", [1, 2_000])
    async def test_what_is_left_for_others_is_what_the_terms_leave(self, client, protected, n):
        body = to_npy(np.ones((n, 2)))
        assert (await client.put(DATA, content=body, headers=digested(body))).status_code == 201
        public = to_npy(np.ones((600, 2)))
        answer = await client.put(f"/v1/datasets/{digest(public)}", content=public, headers=digested(public))
        assert_problem(answer, 413, "quota-exceeded", detail="got 32,000 that are stored or come")

    async def test_a_second_that_the_terms_leave_no_room_for_is_refused_and_a_replacement_is_not(
        self, client, protected
    ):
        body = to_npy(np.ones((1, 2)))
        await client.post("/v1/private", json={"name": OTHER, "terms": TERMS})
        for _ in range(2):
            assert (await client.put(DATA, content=body, headers=digested(body))).status_code == 201
        second = f"/v1/private/{OTHER}/data"
        answer = await client.put(second, content=body, headers=digested(body))
        assert_problem(answer, 413, "quota-exceeded")
        assert (await client.delete(f"/v1/private/{NAME}")).status_code == 204
        assert (await client.put(second, content=body, headers=digested(body))).status_code == 201
