import asyncio
import io
import json

import numpy as np
import pytest

from tests.service.conftest import SPEC, assert_problem

NPY = {"accept": "application/x-npy"}
MATRIX = np.arange(6.0).reshape(2, 3)


@pytest.fixture
def finished(client, worker):
    """Submits a job, lets it end with an array, and gives its id."""

    async def finish(array=MATRIX, **how):
        job = (await client.post("/v1/jobs", json=SPEC)).json()
        await asyncio.to_thread(worker.finish, array, **how)
        return job["id"]

    return finish


def loaded(content):
    return np.load(io.BytesIO(content), allow_pickle=False)


@pytest.mark.parametrize("inline", [True, False], ids=["inline", "stored"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("shape", [(2, 3), (1, 1), (7,)])
async def test_a_result_is_the_same_as_npy_and_as_json(client, finished, shape, dtype, inline):
    array = np.random.default_rng(0).normal(size=shape).astype(dtype)
    job = await finished(array, inline=inline)
    npy = loaded((await client.get(f"/v1/jobs/{job}/result", headers=NPY)).content)
    document = (await client.get(f"/v1/jobs/{job}/result")).json()
    assert npy.dtype == array.dtype
    np.testing.assert_array_equal(npy, array)
    np.testing.assert_array_equal(np.array(document["value"], dtype), array)
    assert (document["shape"], document["dtype"], document["facts"]) == (list(shape), dtype, {"plan": "test"})


async def test_a_large_result_is_json_in_pieces(client, finished):
    array = np.random.default_rng(0).normal(size=(701, 501))
    job = await finished(array, inline=False)
    document = (await client.get(f"/v1/jobs/{job}/result", headers={"accept": "application/json"})).json()
    np.testing.assert_array_equal(document["value"], array)


async def test_null_stands_for_nan_and_the_infinities_in_json(client, finished):
    job = await finished(np.array([[1.0, np.nan], [np.inf, -np.inf]]), inline=False)
    text = (await client.get(f"/v1/jobs/{job}/result")).text
    assert json.loads(text, parse_constant=pytest.fail)["value"] == [[1.0, None], [None, None]]


async def test_a_stored_result_has_an_address_and_no_place(client, finished):
    job = await finished(inline=False)
    result = (await client.get(f"/v1/jobs/{job}")).json()["result"]
    assert result["location"] == f"/v1/jobs/{job}/result"
    assert not {"object", "offset", "length", "value"} & set(result)


@pytest.mark.parametrize(
    ("accept", "media_type"),
    [
        ("application/x-npy;q=0.5, application/json;q=0.4", "application/x-npy"),
        ("application/x-npy;q=0.4, application/json;q=0.5", "application/json"),
        ("application/x-npy, */*;q=0.1", "application/x-npy"),
        ("*/*", "application/json"),
        ("application/json;q=0, */*", "application/x-npy"),
    ],
)
async def test_accept_decides_the_representation(client, finished, accept, media_type):
    answer = await client.get(f"/v1/jobs/{await finished()}/result", headers={"accept": accept})
    assert answer.headers["content-type"] == media_type
    assert answer.headers["vary"] == "accept"


async def test_an_unknown_representation_is_refused(client, finished):
    answer = await client.get(f"/v1/jobs/{await finished()}/result", headers={"accept": "image/png"})
    assert_problem(answer, 406, "not-acceptable", detail="application/json or application/x-npy")


@pytest.mark.parametrize("accept", ["application/json", "application/x-npy"])
async def test_a_result_that_the_client_has_is_not_sent_again(client, finished, accept):
    path = f"/v1/jobs/{await finished()}/result"
    etag = (await client.get(path, headers={"accept": accept})).headers["etag"]
    answer = await client.get(path, headers={"accept": accept, "if-none-match": f'"other", {etag}'})
    assert (answer.status_code, answer.content) == (304, b"")


@pytest.mark.parametrize("inline", [True, False], ids=["inline", "stored"])
@pytest.mark.parametrize("asked", ["bytes=3-9", "bytes=100-", "bytes=-7", "bytes=0-100000"])
async def test_a_range_of_the_npy_file_is_that_range(client, finished, asked, inline):
    path = f"/v1/jobs/{await finished(inline=inline)}/result"
    whole = (await client.get(path, headers=NPY)).content
    answer = await client.get(path, headers=NPY | {"range": asked})
    start, stop = answer.headers["content-range"].removeprefix("bytes ").split("/")[0].split("-")
    assert answer.status_code == 206
    assert answer.content == whole[int(start) : int(stop) + 1]
    assert answer.headers["content-range"].endswith(f"/{len(whole)}")


async def test_a_range_of_another_version_is_the_whole(client, finished):
    path = f"/v1/jobs/{await finished()}/result"
    answer = await client.get(path, headers=NPY | {"range": "bytes=3-9", "if-range": '"other"'})
    assert answer.status_code == 200


async def test_a_range_behind_the_end_is_refused(client, finished):
    path = f"/v1/jobs/{await finished()}/result"
    answer = await client.get(path, headers=NPY | {"range": "bytes=5000-"})
    assert answer.status_code == 416
    assert answer.headers["content-range"] == "bytes */176"
    assert answer.headers["content-type"] == "application/problem+json"


async def test_a_job_that_has_not_finished_has_no_result_yet(client):
    job = (await client.post("/v1/jobs", json=SPEC)).json()
    answer = await client.get(f"/v1/jobs/{job['id']}/result")
    assert_problem(answer, 409, "not-finished", detail="one that is queued")


async def test_a_job_that_failed_has_no_result(client, finished):
    job = await finished(state="failed", error={"detail": "no"})
    assert_problem(await client.get(f"/v1/jobs/{job}/result"), 409, "no-result", detail="the job is failed")


async def test_a_result_that_has_expired_is_a_problem(client, finished, results):
    job = await finished(inline=False)
    results.expire(-1)
    for headers in (NPY, {}):
        answer = await client.get(f"/v1/jobs/{job}/result", headers=headers)
        assert_problem(answer, 409, "no-result", detail="time to live")


async def test_several_results_are_npy_files_one_after_another(client, finished):
    arrays = [np.full((k, 2), float(k)) for k in (1, 2, 3)]
    ids = [await finished(array, inline=index == 1) for index, array in enumerate(arrays)]
    answer = await client.post("/v1/jobs/results", json={"ids": ids[::-1]})
    stream = io.BytesIO(answer.content)
    for array in reversed(arrays):
        np.testing.assert_array_equal(np.load(stream), array)
    assert (stream.read(), answer.headers["content-type"]) == (b"", "application/x-npy-sequence")
    assert int(answer.headers["content-length"]) == len(answer.content)


@pytest.mark.parametrize("order", [range(5), range(4, -1, -1), [0, 1, 3, 4, 2], [2, 2, 3, 3]])
@pytest.mark.parametrize("piece_bytes", [1, 600, 2**20])
async def test_results_of_one_batch_are_read_together_and_come_in_the_order_asked_for(
    client, worker, monkeypatch, order, piece_bytes
):
    monkeypatch.setattr("service.results.PIECE_BYTES", piece_bytes)
    arrays = [np.full((k, 3), float(k)) for k in range(1, 6)]
    jobs = (await client.post("/v1/jobs", json={"jobs": [SPEC] * len(arrays)})).json()["jobs"]
    await asyncio.to_thread(worker.finish_each, arrays)
    answer = await client.post("/v1/jobs/results", json={"ids": [jobs[index]["id"] for index in order]})
    stream = io.BytesIO(answer.content)
    for index in order:
        np.testing.assert_array_equal(np.load(stream), arrays[index])
    assert stream.read() == b""


async def test_one_result_that_is_missing_among_several_is_named(client, finished):
    done = await finished()
    queued = (await client.post("/v1/jobs", json=SPEC)).json()["id"]
    answer = await client.post("/v1/jobs/results", json={"ids": [done, queued]})
    assert_problem(answer, 409, "not-finished", "/ids/1", "queued")


async def test_one_expired_result_among_several_is_a_problem_before_the_answer_begins(client, finished, results):
    stored, inline = await finished(inline=False), await finished()
    results.expire(-1)
    assert_problem(await client.post("/v1/jobs/results", json={"ids": [stored, inline]}), 409, "no-result")
