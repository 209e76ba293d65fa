"""A claimed job's spec and arrays."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from pydantic import ValidationError

from broker.records import ClaimedJob
from gpu.task import Task
from mercer.arrays import info_of
from mercer.errors import InvalidSpec
from mercer.points import ArrayReference, DatasetReference
from mercer.specs import SPEC, Spec
from store.datasets import Datasets, OpenDataset

Array = np.ndarray[Any, Any]


@dataclass(frozen=True, slots=True)
class Loaded:
    """A claimed job, ready to run."""

    claimed: ClaimedJob
    task: Task


class Loader:
    """Loads the jobs of one batch; a data set that several of them read is opened once.

    Args:
        datasets: Where arrays by reference come from; each job reads those of its own tenant.
    """

    def __init__(self, datasets: Datasets) -> None:
        self._datasets = datasets
        self._opened: dict[tuple[str, str], OpenDataset] = {}
        self._arrays: dict[tuple[str, DatasetReference], Array] = {}

    def load(self, job: ClaimedJob, spec: Spec, report: Callable[[float], None]) -> Loaded:
        """Its arrays beside its spec.

        Raises:
            UnknownDataset: one was deleted since the job was accepted.
        """
        arrays = {name: self._array(reference, job.tenant) for name, reference in spec.arrays().items()}
        return Loaded(job, Task(spec, arrays, report))

    def needed_bytes(self, spec: Spec, tenant: str) -> int:
        """The memory that a job takes while it runs, its inputs included."""
        arrays = {name: self._array(reference, tenant) for name, reference in spec.arrays().items()}
        infos = {name: info_of(array, minimum=False) for name, array in arrays.items()}
        cost = spec.cost(infos)
        return cost.bytes_in + cost.peak_bytes

    def _array(self, reference: ArrayReference, tenant: str) -> Array:
        if not isinstance(reference, DatasetReference):
            return reference
        key = tenant, reference  # to hash it takes as long as to open it
        if (array := self._arrays.get(key)) is None:
            array = self._arrays[key] = self._open(tenant, reference.dataset).array(reference)
        return array

    def _open(self, tenant: str, digest: str) -> OpenDataset:
        if (tenant, digest) not in self._opened:
            self._opened[tenant, digest] = self._datasets.of(tenant).open(digest)
        return self._opened[tenant, digest]


def parsed(spec: bytes) -> Spec:
    """The spec of a claimed job.

    Raises:
        InvalidSpec: the service that accepted it knows specs that this worker does not.
    """
    try:
        return SPEC.validate_json(spec)
    except ValidationError:
        raise InvalidSpec("The worker cannot read this spec: it and the service are of different versions.") from None
