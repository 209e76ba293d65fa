"""Requests for what the service holds and knows: data sets, kinds of jobs, kernel functions."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
from pydantic import BaseModel

from mercer.downloads import IntoArray
from mercer.jobs import Dataset
from mercer.retries import RESTART_PATIENCE_S, exchange
from mercer.steps import Flow, Request
from mercer.uploads import NPY


class _DatasetList(BaseModel):
    datasets: list[Dataset]


def list_datasets() -> Flow[list[Dataset]]:
    """All of them."""
    reply = yield from exchange(Request("GET", "/v1/datasets"))
    return _DatasetList.model_validate_json(reply.body).datasets


def fetch_dataset(digest: str) -> Flow[np.ndarray[Any, Any]]:
    """The numbers of a data set."""
    into = IntoArray()
    request = Request("GET", f"/v1/datasets/{digest}", headers={"Accept": NPY}, sink=into.body)
    yield from exchange(request, patience_s=RESTART_PATIENCE_S)
    return into.array()


def delete_dataset(digest: str) -> Flow[None]:
    """Forget a data set."""
    yield from exchange(Request("DELETE", f"/v1/datasets/{digest}"))


def prune_datasets(older_than_days: float) -> Flow[tuple[Dataset, ...]]:
    """Forget the data sets that were uploaded longer ago; those that were."""
    before = datetime.now(UTC) - timedelta(days=older_than_days)
    old = tuple(dataset for dataset in (yield from list_datasets()) if dataset.created_at < before)
    for dataset in old:
        yield from exchange(Request("DELETE", f"/v1/datasets/{dataset.digest}"), accept=(404,))
    return old


def describe(what: str) -> Flow[dict[str, Any]]:
    """What the service tells of its kinds or kernels."""
    reply = yield from exchange(Request("GET", f"/v1/{what}"))
    return json.loads(reply.body)
