"""The bytes of data sets that a tenant may store: refused before they move, and while they come."""

import asyncio

import httpx2
import numpy as np
import pytest

import service.quota
from mercer.arrays import digest, to_npy
from service.app import create_app
from tests.service.conftest import assert_problem

LIMIT = 30_000


def npy(seed, rows=620):
    """About 10 kB."""
    return to_npy(np.random.default_rng(seed).normal(size=(rows, 2)))


@pytest.fixture
def settings(settings):
    return settings.model_copy(update={"max_tenant_bytes": LIMIT})


@pytest.fixture
def put(client):
    async def send(body, content_type="application/x-npy", to=client, chunked=False):
        async def pieces():
            for start in range(0, len(body), 4_000):
                yield body[start : start + 4_000]

        headers = {"content-type": content_type}
        return await to.put(f"/v1/datasets/{digest(body)}", content=pieces() if chunked else body, headers=headers)

    return send


async def fill(put, number=2):
    for seed in range(number):
        assert (await put(npy(seed))).status_code == 201


async def test_an_upload_over_the_bound_is_refused_with_both_numbers(put):
    await fill(put)
    answer = await put(npy(9, 1_200))
    problem = assert_problem(answer, 413, "quota-exceeded", detail="at most 30,000 bytes")
    stored = int(problem["detail"].partition("got ")[2].partition(" ")[0].replace(",", ""))
    assert 2 * len(npy(0)) <= stored < 2 * len(npy(0)) + 2_000  # with what describes them


async def test_what_content_length_says_is_refused_before_a_byte_is_read(put, client):
    await fill(put)
    read = []

    async def pieces():
        read.append(1)
        yield b"x" * 15_000

    headers = {"content-type": "application/x-npy", "content-length": "15000"}
    answer = await client.put(f"/v1/datasets/sha256:{'0' * 64}", content=pieces(), headers=headers)
    assert_problem(answer, 413, "quota-exceeded")


@pytest.mark.parametrize("chunked", [True, False])
async def test_a_bound_holds_whether_the_length_is_said_or_not(put, objects, chunked):
    await fill(put)
    assert_problem(await put(npy(9, 1_200), chunked=chunked), 413, "quota-exceeded")
    assert sum(entry.size for entry in objects.keys("datasets/")) < LIMIT


async def test_a_table_that_grows_beyond_the_bound_is_refused(put):
    csv = b"a,b\n" + b"1,2\n" * 3_000  # 12 kB, of which npy makes 48
    assert_problem(await put(csv, "text/csv"), 413, "quota-exceeded", detail="at most 30,000 bytes")


async def test_uploads_at_once_are_counted_together(put):
    answers = await asyncio.gather(*(put(npy(seed, 500)) for seed in range(8)))
    assert sorted(answer.status_code for answer in answers) == [201] * 3 + [413] * 5


async def test_what_is_known_moves_no_bytes_and_needs_no_room(put):
    await fill(put)
    assert (await put(npy(0))).status_code == 200


async def test_after_a_deletion_there_is_room_at_once(put, client):
    await fill(put)
    assert (await put(npy(9))).status_code == 413
    await client.delete(f"/v1/datasets/{digest(npy(0))}")
    assert (await put(npy(9))).status_code == 201


async def test_what_another_process_stored_counts_within_seconds(put, settings, broker, objects, monkeypatch):
    monkeypatch.setattr(service.quota, "MEASURED_S", 0.2)
    await fill(put, 1)
    app = create_app(settings, broker, objects)
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(app), base_url="http://testserver") as other:
        assert (await put(npy(8), to=other)).status_code == 201
    await app.state.parts.admitter.close()
    await asyncio.sleep(0.25)
    assert_problem(await put(npy(9)), 413, "quota-exceeded")


async def test_a_failed_upload_takes_no_room(put, client, app):
    broken = npy(0)[:-8]
    for _ in range(5):
        assert (await put(broken)).status_code == 422
    assert app.state.parts.quota._coming == {"default": 0}
    await fill(put)
