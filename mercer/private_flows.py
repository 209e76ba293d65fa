"""Requests about private data sets and releases."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
from pydantic import BaseModel

from mercer.downloads import IntoArray
from mercer.points import PrivateReference
from mercer.privacy.terms import Terms
from mercer.private import Plan, PrivateDataset, Protection, Spent
from mercer.retries import RESTART_PATIENCE_S, exchange
from mercer.specs import Spec
from mercer.steps import Flow, Request, Work
from mercer.submitting import JSON_HEADERS, Uploaded, body_of, outgoing_of, upload_arrays
from mercer.uploads import NPY, Source


class _PrivateList(BaseModel):
    private: list[PrivateDataset]


class _SpentList(BaseModel):
    spent: list[Spent]


def protect(source: Source, terms: Terms) -> Flow[PrivateDataset]:
    """Set the terms, then upload the bytes."""
    digest = yield Work(source.digest)
    body = Protection(digest=digest, terms=terms).model_dump_json().encode()
    yield from exchange(Request("POST", "/v1/private", headers=JSON_HEADERS, body=body))
    headers = {"Content-Type": source.media_type, "Content-Length": str(source.size_bytes)}
    upload = Request("PUT", f"/v1/private/{digest}/data", headers=headers, body=source.chunks)
    return PrivateDataset.model_validate_json((yield from exchange(upload)).body)


def list_private() -> Flow[list[PrivateDataset]]:
    """All of them."""
    reply = yield from exchange(Request("GET", "/v1/private"))
    return _PrivateList.model_validate_json(reply.body).private


def fetch_private(digest: str) -> Flow[PrivateDataset]:
    """Its terms, and what is left."""
    reply = yield from exchange(Request("GET", f"/v1/private/{digest}"))
    return PrivateDataset.model_validate_json(reply.body)


def fetch_spent(digest: str) -> Flow[list[Spent]]:
    """What was spent on it."""
    reply = yield from exchange(Request("GET", f"/v1/private/{digest}/spent"))
    return _SpentList.model_validate_json(reply.body).spent


def delete_private(digest: str) -> Flow[None]:
    """Delete its data."""
    yield from exchange(Request("DELETE", f"/v1/private/{digest}"))


def fetch_release(release_id: str) -> Flow[tuple[np.ndarray[Any, Any], dict[str, Any]]]:
    """Its numbers and its parameters."""
    parameters = yield from exchange(Request("GET", f"/v1/releases/{release_id}"))
    into = IntoArray()
    request = Request("GET", f"/v1/releases/{release_id}/vector", headers={"Accept": NPY}, sink=into.body)
    yield from exchange(request, patience_s=RESTART_PATIENCE_S)
    return into.array(), json.loads(parameters.body)


def plan(spec: Spec) -> Flow[Plan]:
    """What a job would cost."""
    outgoing = outgoing_of(spec)
    uploaded: Uploaded = {}
    yield from upload_arrays([outgoing], uploaded)
    request = Request("POST", "/v1/plan", headers=JSON_HEADERS, body=body_of(outgoing, uploaded))
    return Plan.model_validate_json((yield from exchange(request)).body)


def digest_of(private: PrivateDataset | PrivateReference | str) -> str:
    """However it is named."""
    if isinstance(private, str):
        return private
    return private.private if isinstance(private, PrivateReference) else private.digest
