"""A claimed job's spec and arrays."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from pydantic import ValidationError

from broker.records import ClaimedJob
from gpu.task import Task
from mercer.arrays import ArrayInfo, info_of
from mercer.errors import InvalidSpec
from mercer.points import ArrayReference, DatasetReference, PrivateReference, ReleaseReference
from mercer.privacy.terms import Terms, public_info
from mercer.specs import SPEC, Spec
from store.datasets import Datasets, OpenDataset
from store.private import PrivateDatasets
from store.releases import Releases

Array = np.ndarray[Any, Any]


@dataclass(frozen=True, slots=True)
class Loaded:
    """A claimed job, ready to run."""

    claimed: ClaimedJob
    task: Task


class Shelves(NamedTuple):
    """Where arrays by reference come from; each job reads those of its own tenant."""

    datasets: Datasets
    private: PrivateDatasets
    releases: Releases


class Loader:
    """Loads the jobs of one batch; a data set that several of them read is opened once.

    Args:
        shelves: What to read from.
    """

    def __init__(self, shelves: Shelves) -> None:
        self._shelves = shelves
        self._opened: dict[tuple[str, str], OpenDataset] = {}
        self._found: dict[tuple[str, ArrayReference], Found] = {}

    def load(self, job: ClaimedJob, spec: Spec, report: Callable[[float], None]) -> Loaded:
        """Its arrays beside its spec.

        Raises:
            UnknownDataset: one was deleted since the job was accepted.
        """
        found = {name: self._find(reference, job.tenant) for name, reference in spec.arrays().items()}
        arrays = {name: one.array for name, one in found.items()}
        about = {name: one.about for name, one in found.items() if one.about is not None}
        return Loaded(job, Task(spec, arrays, report, about))

    def needed_bytes(self, spec: Spec, tenant: str) -> int:
        """The memory that a job takes while it runs, its inputs included."""
        cost = spec.cost(self.infos(spec, tenant))
        return cost.bytes_in + cost.peak_bytes

    def infos(self, spec: Spec, tenant: str) -> dict[str, ArrayInfo]:
        """What may be told of its arrays: of a private data set nothing that its terms do not say."""
        return {name: self._info(reference, tenant) for name, reference in spec.arrays().items()}

    def _info(self, reference: ArrayReference, tenant: str) -> ArrayInfo:
        if isinstance(reference, PrivateReference):
            return public_info(self._shelves.private.of(tenant).terms(reference.private))
        found = self._find(reference, tenant)
        return info_of(found.array, minimum=False)._replace(about=found.about)

    def _find(self, reference: ArrayReference, tenant: str) -> Found:
        if isinstance(reference, np.ndarray):
            return Found(reference)
        key = tenant, reference  # to hash it takes as long as to open it
        if (found := self._found.get(key)) is None:
            found = self._found[key] = self._read(reference, tenant)
        return found

    def _read(self, reference: ArrayReference, tenant: str) -> Found:
        match reference:
            case PrivateReference():
                terms, matrix = self._shelves.private.of(tenant).open(reference.private)
                return Found(matrix, terms)
            case ReleaseReference():
                release = self._shelves.releases.of(tenant).known(reference.release)
                return Found(release.vector, release.parameters)
            case DatasetReference():
                return Found(self._open(tenant, reference.dataset).array(reference))
        raise TypeError(f"expected a reference, got {type(reference).__name__}")

    def _open(self, tenant: str, digest: str) -> OpenDataset:
        if (tenant, digest) not in self._opened:
            self._opened[tenant, digest] = self._shelves.datasets.of(tenant).open(digest)
        return self._opened[tenant, digest]


class Found(NamedTuple):
    """An array, and what is public about it where that is more than its numbers."""

    array: Array
    about: Terms | dict[str, Any] | None = None


def parsed(spec: bytes) -> Spec:
    """The spec of a claimed job.

    Raises:
        InvalidSpec: the service that accepted it knows specs that this worker does not.
    """
    try:
        return SPEC.validate_json(spec)
    except ValidationError:
        raise InvalidSpec("The worker cannot read this spec: it and the service are of different versions.") from None
