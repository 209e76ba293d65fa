"""openapi.yaml, generated from the app: `python -m service.openapi > openapi.yaml`."""

from __future__ import annotations

import sys
from typing import Any

import yaml  # type: ignore[import-untyped]
from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from mercer.batches import Batch, BatchLine
from mercer.jobs import Dataset, Job, Result, Worker
from mercer.keys import CreatedKey, NewKey, Scope
from mercer.specs import KINDS
from mercer.webhooks import Delivery, NewWebhook, Rotation, Webhook, WebhookChange
from service.admission import MAX_JOBS
from service.batch_lines import Line
from service.documented import problems, reference
from service.jobs import Ids, Jobs, WaitFor
from service.problems import Problem
from service.scopes import NEEDS, Open

TEMPLATE = "#/components/schemas/{model}"

SENT: tuple[type[BaseModel], ...] = (Ids, WaitFor, Line, NewKey, NewWebhook, WebhookChange, Rotation, *KINDS.values())
ANSWERED: tuple[type[BaseModel], ...] = (
    Jobs,
    Job,
    Result,
    Dataset,
    Worker,
    Batch,
    BatchLine,
    CreatedKey,
    Webhook,
    Delivery,
    Problem,
)

SCHEME = {
    "type": "http",
    "scheme": "bearer",
    "description": "An API key; needed where the service has a root key. The scopes are those that the key must have.",
}

MADE = {
    "POST /v1/jobs": ("job_id", "id"),
    "POST /v1/batches": ("batch_id", "id"),
    "POST /v1/keys": ("key_id", "id"),
    "POST /v1/webhooks": ("webhook_id", "id"),
    "PUT /v1/datasets/{digest}": ("digest", "digest"),
}
"""What makes a thing: the parameter by which all other operations take it, and the field of the answer that has it."""


def describe(app: FastAPI) -> dict[str, Any]:
    """The OpenAPI document of an app."""
    document = get_openapi(
        title="Mercer", version=app.version, description=app.description, routes=app.routes, tags=app.openapi_tags
    )
    schemas = document.setdefault("components", {}).setdefault("schemas", {})
    schemas |= _schemas()
    _drop_fastapi_errors(document)
    _add_security(document)
    _add_links(document)
    document["components"]["schemas"] = dict(sorted(schemas.items()))
    return document


def text(app: FastAPI) -> str:
    """openapi.yaml."""
    return yaml.safe_dump(describe(app), sort_keys=False, allow_unicode=True, width=120)


def _schemas() -> dict[str, Any]:
    """What raw routes read and answer, which FastAPI does not see."""
    models: list[Any] = [(model, "validation") for model in SENT] + [(model, "serialization") for model in ANSWERED]
    _, definitions = models_json_schema(models, ref_template=TEMPLATE)
    schemas: dict[str, Any] = definitions["$defs"]
    schemas["JobSpec"] = {
        "oneOf": [reference(spec.__name__) for spec in KINDS.values()],
        "discriminator": {
            "propertyName": "kind",
            "mapping": {name: TEMPLATE.format(model=spec.__name__) for name, spec in KINDS.items()},
        },
    }
    jobs = {"type": "array", "items": reference("JobSpec"), "minItems": 1, "maxItems": MAX_JOBS}
    schemas["JobSpecs"] = {
        "description": "Several jobs, admitted all or none.",
        "type": "object",
        "properties": {"jobs": jobs},
        "required": ["jobs"],
        "additionalProperties": False,
    }
    schemas["Submission"] = {"anyOf": [reference("JobSpec"), reference("JobSpecs")]}
    return schemas


def _add_security(document: dict[str, Any]) -> None:
    """What service/scopes.py has enforced."""
    document["components"]["securitySchemes"] = {"key": SCHEME}
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            need = NEEDS[f"{method.upper()} {path}"]
            if need is Open.TO_ALL:
                operation["security"] = []
                continue
            operation["security"] = [{"key": [need.value] if isinstance(need, Scope) else []}]
            refusals = problems(401, 403, 429) if isinstance(need, Scope) else problems(401, 429)
            operation["responses"] |= {str(status): refusal for status, refusal in refusals.items()}


def _add_links(document: dict[str, Any]) -> None:
    """From what makes a thing to all that can be done with it."""
    operations = {
        f"{method.upper()} {path}": operation
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    }
    for maker, (parameter, field) in MADE.items():
        links = {
            operation["operationId"]: {
                "operationId": operation["operationId"],
                "parameters": {parameter: f"$response.body#/{field}"},
            }
            for name, operation in operations.items()
            if f"{{{parameter}}}" in name and name != maker
        }
        for status, answer in operations[maker]["responses"].items():
            if status.startswith("2"):
                answer["links"] = links


def _drop_fastapi_errors(document: dict[str, Any]) -> None:
    """FastAPI adds its own 422 to every route with parameters; ours are problems, and 400."""
    for operations in document["paths"].values():
        for operation in operations.values():
            shown = operation["responses"].get("422", {})
            if "HTTPValidationError" in str(shown):
                del operation["responses"]["422"]
    for name in ("HTTPValidationError", "ValidationError"):
        document["components"]["schemas"].pop(name, None)


def main() -> None:
    """Print openapi.yaml."""
    from service.app import bare_app  # the app itself serves what is described here

    sys.stdout.write(text(bare_app()))


if __name__ == "__main__":
    main()
