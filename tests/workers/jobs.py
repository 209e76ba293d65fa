"""Jobs for the worker: small ones, bad ones, and some that take long enough to be interrupted."""

import time
import uuid

import numpy as np
from pydantic_core import to_json

from broker.records import ClaimedJob, Submission
from mercer.arrays import digest, to_npy
from mercer.points import DatasetReference
from mercer.specs import Gram
from store.datasets import Datasets
from store.private import PrivateDatasets
from store.releases import Releases
from workers.loading import Shelves


def points(n, d=2, seed=0):
    return np.random.default_rng(seed).normal(size=(n, d)).round(3)


def gram(n=3, **fields):
    """A Gram job of n points on a line, so that n may be large and inline."""
    return Gram(**{"kernel": {"family": "gaussian", "lengthscale": 1.0}, "x": points(n, 1), **fields})


def unfit():
    """A spec that admission would refuse, and that fails when it runs: its lengthscales do not fit its points."""
    return gram(kernel={"family": "gaussian", "lengthscale": [1.0, 2.0, 3.0]}, x=points(3, 2))


def long(datasets, n=6_000):
    """A job of several panels that computes for half a second or more; its points are put into the store."""
    terms = [{"family": "gaussian", "lengthscale": 1.0 + i / 10} for i in range(16)]
    return gram(kernel={"family": "sum", "terms": terms}, x=upload(datasets, points(n, 32)), dtype="float32")


def upload(datasets, array):
    """The reference of a data set."""
    body = to_npy(array)
    with datasets.upload(digest(body), "npy") as receiving:
        receiving.write(body)
        receiving.commit()
    return DatasetReference(dataset=digest(body))


def claimed(spec, **fields):
    body = spec if isinstance(spec, bytes) else to_json(spec.model_dump(exclude_none=True))
    return ClaimedJob(uuid.uuid4().hex, "gram", body, 1, 0, **fields)


def submission(spec, batch_key="gram:test", **fields):
    made = {"id": uuid.uuid4().hex, "kind": "gram", "fingerprint": "f", "flops": 1, "bytes": 1_000}
    body = to_json(spec.model_dump(exclude_none=True))
    return Submission(**{**made, "batch_key": batch_key, "spec": body, **fields})


async def finished(queue, ids, within_s=100.0):
    """The records of these jobs, once all have ended."""
    left, until = set(ids), time.monotonic() + within_s
    while left:
        assert time.monotonic() < until, f"{len(left)} of {len(ids)} jobs did not end"
        left -= await queue.wait(list(left), 1.0)
    return await queue.records(ids)


def shelves_of(objects):
    """What a worker reads from this store."""
    return Shelves(Datasets(objects, 2**30), PrivateDatasets(objects, 2**30), Releases(objects))
