from pathlib import Path

import pytest
import yaml

from mercer.specs import KINDS
from service.app import bare_app
from service.openapi import describe, text

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def document():
    return describe(bare_app())


def operations(document):
    return [
        (method, path, operation)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    ]


def test_openapi_yaml_is_current():
    assert (ROOT / "openapi.yaml").read_text() == text(bare_app()), "run `python -m service.openapi > openapi.yaml`"


async def test_what_is_served_is_what_is_written(client):
    assert (await client.get("/openapi.json")).json() == yaml.safe_load((ROOT / "openapi.yaml").read_text())


def test_what_is_made_is_linked_to_all_that_takes_it(document):
    for method, path, operation in operations(document):
        for status, answer in operation["responses"].items():
            linked = {link["operationId"] for link in answer.get("links", {}).values()}
            parameters = {name for link in answer.get("links", {}).values() for name in link["parameters"]}
            taking = {
                other["operationId"]
                for _, there, other in operations(document)
                for name in parameters
                if f"{{{name}}}" in there
            }
            assert linked == taking - {operation["operationId"]}, (method, path, status)
    assert document["paths"]["/v1/jobs"]["post"]["responses"]["202"]["links"]["show_v1_jobs__job_id__get"][
        "parameters"
    ] == {"job_id": "$response.body#/id"}


def test_every_route_is_described(document):
    served = {(method.lower(), route.path) for route in bare_app().routes for method in route.methods}
    described = {(method, path) for method, path, _ in operations(document)}
    assert served - described == {("get", "/openapi.json")}


def test_every_error_is_a_problem(document):
    for method, path, operation in operations(document):
        for status, answer in operation["responses"].items():
            if int(status) >= 400:
                schema = answer["content"]["application/problem+json"]["schema"]
                assert schema == {"$ref": "#/components/schemas/Problem"}, (method, path, status)


def test_every_reference_leads_somewhere(document):
    def references(node):
        if isinstance(node, dict):
            yield from ([node["$ref"]] if isinstance(node.get("$ref"), str) else [])
            yield from (found for value in node.values() for found in references(value))
        elif isinstance(node, list):
            yield from (found for value in node for found in references(value))

    schemas = document["components"]["schemas"]
    names = {reference.removeprefix("#/components/schemas/") for reference in references(document)}
    assert names
    assert names <= set(schemas)


def test_every_example_of_every_kind_is_shown(document):
    content = document["paths"]["/v1/jobs"]["post"]["requestBody"]["content"]["application/json"]
    shown = [example["value"] for example in content["examples"].values()]
    assert shown == [example for spec in KINDS.values() for example in spec.examples]


def test_every_path_parameter_is_described(document):
    for method, path, operation in operations(document):
        names = {one["name"] for one in operation.get("parameters", ()) if one["in"] == "path"}
        assert names == {part[1:-1] for part in path.split("/") if part.startswith("{")}, (method, path)
