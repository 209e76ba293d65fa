"""Requests about private data sets and releases."""

from __future__ import annotations

import json
from base64 import b64encode
from secrets import token_hex
from typing import Any

import numpy as np
from pydantic import BaseModel

from mercer.downloads import IntoArray
from mercer.points import PrivateReference
from mercer.privacy.terms import Terms
from mercer.private import NAME_BYTES, Plan, PrivateDataset, Protection, Spent
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
    """Set the terms under a random name, then upload the data."""
    name = token_hex(NAME_BYTES)  # here, so that the request may be sent again
    body = Protection(name=name, terms=terms).model_dump_json().encode()
    yield from exchange(Request("POST", "/v1/private", headers=JSON_HEADERS, body=body))
    return (yield from upload_private(name, source))


def upload_private(name: str, source: Source) -> Flow[PrivateDataset]:
    """Upload the data, in place of those that are there."""
    digest = yield Work(source.digest)
    base64 = b64encode(bytes.fromhex(digest.removeprefix("sha256:"))).decode()
    headers = {
        "Content-Type": source.media_type,
        "Content-Length": str(source.size_bytes),
        "Content-Digest": f"sha-256=:{base64}:",
    }
    upload = Request("PUT", f"/v1/private/{name}/data", headers=headers, body=source.chunks)
    return PrivateDataset.model_validate_json((yield from exchange(upload)).body)


def list_private() -> Flow[list[PrivateDataset]]:
    """All of them."""
    reply = yield from exchange(Request("GET", "/v1/private"))
    return _PrivateList.model_validate_json(reply.body).private


def fetch_private(name: str) -> Flow[PrivateDataset]:
    """Its terms, and what is left."""
    reply = yield from exchange(Request("GET", f"/v1/private/{name}"))
    return PrivateDataset.model_validate_json(reply.body)


def fetch_spent(name: str) -> Flow[list[Spent]]:
    """What was spent on it."""
    reply = yield from exchange(Request("GET", f"/v1/private/{name}/spent"))
    return _SpentList.model_validate_json(reply.body).spent


def delete_private(name: str) -> Flow[None]:
    """Delete its data."""
    yield from exchange(Request("DELETE", f"/v1/private/{name}"))


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


def name_of(private: PrivateDataset | PrivateReference | str) -> str:
    """However it is given."""
    if isinstance(private, str):
        return private
    return private.private if isinstance(private, PrivateReference) else private.name
