"""The records of private data sets. Each upload is a matrix of its own, and the newest mark says which one counts.

private/<name>/<32 random hex digits>.npy     a matrix
private/<name>/<number>.json                  which matrix the data set has from then on, put only where none is

So objects never change, and data are replaced as a whole in one step: by a mark with a larger number. Nothing here is
derived from the records but what is needed to map them, and nothing of it is shown.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from secrets import token_hex
from typing import Any

import numpy as np
from pydantic import BaseModel

from mercer.errors import UnknownDataset
from mercer.jobs import Dataset
from mercer.tenants import DEFAULT_TENANT
from store.objects import Objects, ObjectWriter
from store.receiving import mapped, receiving
from store.tenants import prefix_of
from store.uploads import Format, Upload

PREFIX = "private/"
LOOKS = 5
"""For data that seem not to be here: they may have been replaced between the list of marks and the look at one."""


class _Mark(BaseModel):
    """Which matrix counts."""

    key: str
    shape: tuple[int, ...]
    dtype: str
    size_bytes: int


class PrivateData:
    """The records of a tenant's private data sets.

    Args:
        objects: Where they are kept.
        max_bytes: The most that one may have, uploaded or as npy.
        tenant: Whose they are.
    """

    def __init__(self, objects: Objects, max_bytes: int, tenant: str = DEFAULT_TENANT) -> None:
        self._objects = objects
        self._max_bytes = max_bytes
        self._prefix = prefix_of(tenant) + PREFIX

    def upload(
        self, name: str, digest: str, format: Format, check: Callable[[Dataset], None]
    ) -> AbstractContextManager[Upload]:
        """Receive a data set in chunks, which replaces what is there; left without a commit, that stays.

        Args:
            name: Of the data set.
            digest: sha256:<64 hex digits> of the bytes that will come.
            format: What they are.
            check: Raises where they may not be kept.

        Raises:
            Unavailable: the store cannot be written.
        """
        key = f"{self._folder(name)}{token_hex(16)}.npy"

        def keep(matrix: ObjectWriter, dataset: Dataset) -> None:
            check(dataset)
            matrix.commit()
            mark = _Mark(key=key, shape=dataset.shape, dtype=dataset.dtype, size_bytes=dataset.size_bytes)
            self._replace(name, mark)

        return receiving(self._objects, key, digest, format, keep, self._max_bytes)

    def is_here(self, name: str) -> bool:
        """Whether a data set has data."""
        return self._current(name) is not None

    def open(self, name: str) -> np.ndarray[Any, Any]:
        """Map a data set, (n, d); whoever has mapped it reads on when it is replaced or deleted.

        Raises:
            UnknownDataset: it has no data.
        """
        while (mark := self._current(name)) is not None:
            try:
                return mapped(self._objects, mark.key, mark)
            except KeyError:
                continue  # it was replaced or deleted between the two looks
        raise UnknownDataset(f"The data of {name} are not here: upload them again.")

    def delete(self, name: str) -> bool:
        """Delete the data, and what uploads that died have left; False when there were none."""
        known = self.is_here(name)
        # The newest mark goes last: no crash brings older data back.
        for number in sorted(self._numbers(name)):
            self._objects.delete(self._mark(name, number))
        for entry in [*self._objects.keys(self._folder(name))]:
            if entry.key.endswith(".npy"):
                self._objects.delete(entry.key)
        return known

    def names(self) -> list[str]:
        """Of all that have data."""
        keys = (entry.key.removeprefix(self._prefix) for entry in self._objects.keys(self._prefix))
        return sorted({name for name, _, mark in (key.partition("/") for key in keys) if mark.endswith(".json")})

    def _replace(self, name: str, mark: _Mark) -> None:
        number = max(self._numbers(name), default=-1) + 1
        while not self._put(self._mark(name, number), mark):
            number += 1  # another upload ended meanwhile, and came first
        for older in sorted(self._numbers(name)):
            if older < number:
                self._outdate(self._mark(name, older), keep=older == number - 1)

    def _put(self, key: str, mark: _Mark) -> bool:
        with self._objects.writer(key) as writer:
            writer.write(mark.model_dump_json().encode())
            return writer.commit()

    def _outdate(self, key: str, *, keep: bool) -> None:
        """Delete a matrix, and its mark; the last but one stays, so that who lists them meanwhile finds one."""
        if (mark := self._read(key)) is not None:
            self._objects.delete(mark.key)
        if not keep:
            self._objects.delete(key)

    def _current(self, name: str) -> _Mark | None:
        """The newest mark whose matrix is there: a deletion beside an upload can leave a mark alone."""
        for _ in range(LOOKS):
            numbers = sorted(self._numbers(name), reverse=True)
            marks = (self._read(self._mark(name, number)) for number in numbers)
            for mark in marks:
                if mark and self._objects.size(mark.key) == mark.size_bytes:
                    return mark
        return None

    def _read(self, key: str) -> _Mark | None:
        try:
            return _Mark.model_validate_json(b"".join(self._objects.read(key)))
        except KeyError:
            return None

    def _numbers(self, name: str) -> Iterator[int]:
        folder = self._folder(name)
        names = (entry.key.removeprefix(folder) for entry in self._objects.keys(folder))
        return (int(one.removesuffix(".json")) for one in names if one.endswith(".json"))

    def _mark(self, name: str, number: int) -> str:
        return f"{self._folder(name)}{number:012d}.json"

    def _folder(self, name: str) -> str:
        return f"{self._prefix}{name}/"
