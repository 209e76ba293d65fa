"""What the service tells and refuses of private data sets."""

import numpy as np
import pytest

from mercer.arrays import digest, to_npy
from store.datasets import Datasets
from tests.service.conftest import assert_problem

BODY = to_npy(np.arange(2_000.0).reshape(1_000, 2))
NAME = digest(BODY)
NPY = {"content-type": "application/x-npy"}
TERMS = {
    "epsilon": 1.0,
    "delta": 0.0,
    "neighbours": "change_one",
    "domain": {"low": [0, 0], "high": [1, 1]},
    "max_records": 2_000,
}
PROTECTION = {"digest": NAME, "terms": TERMS}


@pytest.mark.parametrize("body", [BODY, BODY[:-8]])
async def test_metrics_count_private_uploads_and_tell_nothing_of_how_long_they_took(client, body):
    assert (await client.post("/v1/private", json=PROTECTION)).status_code == 201
    status = (await client.put(f"/v1/private/{NAME}/data", content=body, headers=NPY)).status_code
    assert status == (201 if body == BODY else 422)
    shown = (await client.get("/metrics")).text
    labels = f'{{method="PUT",route="/v1/private/{{digest}}/data",status="{status}"}}'
    assert f"mercer_http_request_duration_seconds_count{labels} 1.0\n" in shown
    assert f"mercer_http_request_duration_seconds_sum{labels} 0.0\n" in shown


async def test_bytes_protected_while_they_are_uploaded_for_anybody_are_refused_and_not_kept(client):
    async def pieces():
        yield BODY[:100]
        assert (await client.post("/v1/private", json=PROTECTION)).status_code == 201
        yield BODY[100:]

    answer = await client.put(f"/v1/datasets/{NAME}", content=pieces(), headers=NPY)
    assert_problem(answer, 409, "protected")
    assert (await client.head(f"/v1/datasets/{NAME}")).status_code == 404
    assert (await client.put(f"/v1/private/{NAME}/data", content=BODY, headers=NPY)).status_code == 201


async def test_bytes_uploaded_for_anybody_while_they_are_protected_are_told(client, app, objects):
    spending = app.state.parts.spending
    opened = spending.ledger

    def uploaded_meanwhile():
        with Datasets(objects, 2**20).upload(NAME, "npy") as receiving:
            receiving.write(BODY)
            receiving.commit()
        spending.ledger = opened
        return opened()

    spending.ledger = uploaded_meanwhile
    assert_problem(await client.post("/v1/private", json=PROTECTION), 409, "protected", detail="delete that one first")
    assert (await client.delete(f"/v1/datasets/{NAME}")).status_code == 204
    assert (await client.post("/v1/private", json=PROTECTION)).status_code == 201
