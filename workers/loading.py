"""A claimed job's spec and arrays."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from pydantic import ValidationError

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

    id: str
    task: Task


class Loader:
    """Loads the jobs of one batch; a data set that several of them read is opened once.

    Args:
        datasets: Where arrays by reference come from.
    """

    def __init__(self, datasets: Datasets) -> None:
        self._datasets = datasets
        self._opened: dict[str, OpenDataset] = {}
        self._arrays: dict[DatasetReference, Array] = {}

    def load(self, job_id: str, spec: Spec, report: Callable[[float], None]) -> Loaded:
        """Its arrays beside its spec.

        Raises:
            UnknownDataset: one was deleted since the job was accepted.
        """
        arrays = {name: self._array(reference) for name, reference in spec.arrays().items()}
        return Loaded(job_id, Task(spec, arrays, report))

    def needed_bytes(self, spec: Spec) -> int:
        """The memory that a job takes while it runs, its inputs included."""
        infos = {name: info_of(self._array(reference), minimum=False) for name, reference in spec.arrays().items()}
        cost = spec.cost(infos)
        return cost.bytes_in + cost.peak_bytes

    def _array(self, reference: ArrayReference) -> Array:
        if not isinstance(reference, DatasetReference):
            return reference
        if reference not in self._arrays:
            self._arrays[reference] = self._open(reference.dataset).array(reference)
        return self._arrays[reference]

    def _open(self, digest: str) -> OpenDataset:
        if digest not in self._opened:
            self._opened[digest] = self._datasets.open(digest)
        return self._opened[digest]


def parsed(spec: bytes) -> Spec:
    """The spec of a claimed job.

    Raises:
        InvalidSpec: the service that accepted it knows specs that this worker does not.
    """
    try:
        return SPEC.validate_json(spec)
    except ValidationError:
        raise InvalidSpec("The worker cannot read this spec: it and the service are of different versions.") from None
