import io

import numpy as np
import pytest

from mercer.arrays import digest, to_npy
from tests.service.conftest import assert_problem

NPY = {"content-type": "application/x-npy"}
MATRIX = np.arange(6.0).reshape(3, 2)
BODY = to_npy(MATRIX)
PATH = f"/v1/datasets/{digest(BODY)}"


async def test_an_upload_is_created_once_and_known_from_then_on(client):
    first = await client.put(PATH, content=BODY, headers=NPY)
    second = await client.put(PATH, content=BODY, headers=NPY)
    assert (first.status_code, second.status_code) == (201, 200)
    assert first.json() == second.json()
    assert first.json()["digest"] == digest(BODY)
    assert first.json()["shape"] == [3, 2]
    assert first.json()["minima"] == [0.0, 1.0]


async def test_what_is_known_moves_no_bytes(client):
    await client.put(PATH, content=BODY, headers=NPY)

    async def never():
        raise AssertionError("the body was read")
        yield b""

    assert (await client.put(PATH, content=never(), headers=NPY)).status_code == 200


async def test_csv_becomes_a_matrix_with_named_columns(client):
    body = b"a,b,c\n1,2,x\n3,4,y\n"
    answer = await client.put(f"/v1/datasets/{digest(body)}", content=body, headers={"content-type": "text/csv"})
    assert answer.status_code == 201, answer.text
    assert (answer.json()["columns"], answer.json()["text_columns"]) == (["a", "b"], ["c"])


async def test_parquet_becomes_a_matrix(client):
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    buffer = io.BytesIO()
    parquet.write_table(pyarrow.table({"a": [1.0, 2.0], "b": [3, 4]}), buffer)
    body = buffer.getvalue()
    headers = {"content-type": "application/vnd.apache.parquet"}
    answer = await client.put(f"/v1/datasets/{digest(body)}", content=body, headers=headers)
    assert answer.json()["shape"] == [2, 2]


async def test_head_says_whether_it_is_there(client, upload):
    assert (await client.head(PATH)).status_code == 404
    await upload(MATRIX)
    answer = await client.head(PATH)
    assert (answer.status_code, answer.content) == (200, b"")
    assert answer.headers["content-length"] == str(len(BODY))


async def test_it_comes_back_as_npy_whole_and_in_ranges(client, upload):
    await upload(MATRIX)
    whole = await client.get(PATH)
    part = await client.get(PATH, headers={"range": "bytes=10-19"})
    assert (whole.content, whole.headers["content-type"]) == (BODY, "application/x-npy")
    assert (part.status_code, part.content) == (206, BODY[10:20])


async def test_data_sets_are_listed(client, upload):
    names = {await upload(MATRIX), await upload(MATRIX + 1)}
    assert {one["digest"] for one in (await client.get("/v1/datasets")).json()["datasets"]} == names


async def test_a_deleted_data_set_is_gone(client, upload):
    await upload(MATRIX)
    assert (await client.delete(PATH)).status_code == 204
    assert_problem(await client.get(PATH), 404, "unknown-dataset")
    assert_problem(await client.delete(PATH), 404, "unknown-dataset")


@pytest.mark.parametrize("name", ["x", "sha256:xyz", "sha256:" + "A" * 64, "md5:" + "0" * 64])
async def test_an_address_that_is_no_digest_is_refused(client, name):
    answer = await client.put(f"/v1/datasets/{name}", content=BODY, headers=NPY)
    assert_problem(answer, 400, "invalid-request", detail="64 lower-case hex digits")


async def test_a_body_that_is_not_its_digest_is_refused_and_leaves_nothing(client, settings):
    wrong = "sha256:" + "0" * 64
    answer = await client.put(f"/v1/datasets/{wrong}", content=BODY, headers=NPY)
    assert_problem(answer, 422, "digest-mismatch", detail=wrong)
    assert (await client.get("/v1/datasets")).json() == {"datasets": []}


@pytest.mark.parametrize("content_type", ["text/plain", "application/octet-stream", ""])
async def test_another_media_type_is_refused(client, content_type):
    answer = await client.put(PATH, content=BODY, headers={"content-type": content_type})
    assert_problem(answer, 415, "unsupported-format", detail="text/csv")


async def test_a_body_that_is_too_large_is_refused_before_it_is_read(client, settings):
    async def never():
        raise AssertionError("the body was read")
        yield b""

    headers = NPY | {"content-length": str(settings.max_upload_bytes + 1)}
    answer = await client.put(PATH, content=never(), headers=headers)
    assert_problem(answer, 413, "too-large", detail=f"at most {settings.max_upload_bytes} bytes")


async def test_a_body_that_grows_too_large_is_refused(client, settings):
    async def endless():
        while True:
            yield bytes(2**16)

    answer = await client.put(PATH, content=endless(), headers={"content-type": "text/csv"})
    assert_problem(answer, 413, "too-large")


@pytest.mark.parametrize(
    ("body", "code", "detail"),
    [
        (to_npy(np.array([[1.0, 2.0], [np.nan, 3.0]])), "invalid-array", "(1, 0)"),
        (to_npy(np.arange(3.0)), "invalid-array", "x[:, None]"),
        (BODY[:-1], "invalid-array", ""),
        (BODY + b"x", "invalid-array", ""),
        (b"", "invalid-array", ""),
        (b"PK\x03\x04", "invalid-array", ""),
        (BODY.replace(b"(3, 2), }", b"(9, 2), }"), "invalid-array", ""),
        (BODY.replace(b"'<f8'", b"'|O' "), "invalid-array", "dtype"),
    ],
    ids=["nan", "vector", "cut", "longer", "empty", "zip", "lying", "objects"],
)
async def test_an_upload_that_is_no_matrix_is_refused(client, body, code, detail):
    answer = await client.put(f"/v1/datasets/{digest(body)}", content=body, headers=NPY)
    assert_problem(answer, 422, code, detail=detail)


@pytest.mark.parametrize("chunk_bytes", [7, 10_000, 2**21])
async def test_an_upload_may_be_cut_anywhere(client, chunk_bytes):
    body = BODY if chunk_bytes < 10 else to_npy(np.arange(2.0**17).reshape(-1, 4))

    async def chunks():
        for start in range(0, len(body), chunk_bytes):
            yield body[start : start + chunk_bytes]

    path = f"/v1/datasets/{digest(body)}"
    answer = await client.put(path, content=chunks(), headers=NPY)
    assert answer.status_code == 201, answer.text
    assert (await client.get(path)).content == body
