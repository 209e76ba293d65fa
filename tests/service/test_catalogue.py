import pytest

from mercer.kernels import FAMILIES, FUNCTIONS
from mercer.specs import KINDS
from tests.service.conftest import SPEC


async def test_every_kind_is_listed_with_its_formula_schema_and_examples(client):
    answer = (await client.get("/v1/kinds")).json()
    assert [kind["kind"] for kind in answer["kinds"]] == list(KINDS)
    for kind in answer["kinds"]:
        assert kind["description"]
        assert kind["examples"]
        assert kind["json_schema"]["properties"]["kind"]["const"] == kind["kind"]


async def test_the_limits_are_the_settings(client, settings):
    limits = (await client.get("/v1/kinds")).json()["limits"]
    assert limits["upload_bytes"] == settings.max_upload_bytes
    assert limits["result_bytes"] == settings.max_result_bytes
    assert limits["job_bytes"] == settings.max_job_bytes


async def test_every_kernel_function_is_listed_with_its_formula_and_source(client):
    kernels = (await client.get("/v1/kernels")).json()["kernels"]
    assert [kernel["family"] for kernel in kernels] == list(FUNCTIONS)
    assert all(kernel["formula"] and kernel["source"] and kernel["json_schema"] for kernel in kernels)


async def test_what_is_not_positive_definite_says_so(client):
    kernels = (await client.get("/v1/kernels")).json()["kernels"]
    assert [kernel["family"] for kernel in kernels if kernel.get("positive_definite") is False] == [
        "sigmoid",
        "additive_chi2",
    ]


@pytest.mark.parametrize("family", FAMILIES)
async def test_the_examples_of_a_kernel_function_can_be_submitted(client, family):
    kernels = (await client.get("/v1/kernels")).json()["kernels"]
    (examples,) = [kernel["examples"] for kernel in kernels if kernel["family"] == family]
    specs = [SPEC | {"kernel": example, "x": [[1.0, 2.0, 3.0]]} for example in examples]
    answer = await client.post("/v1/jobs", json={"jobs": specs})
    assert answer.status_code == 202, answer.text
