"""Uploaded data sets: named by the digest of their bytes, stored as npy whatever they came as.

datasets/<hex>.npy    the matrix
datasets/<hex>.json   its metadata (mercer.jobs.Dataset), written last: without it there is no data set

Those of another tenant than `default` are below tenants/<tenant>/: what one has is nothing to any other, the same bytes
included.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

import numpy as np

from mercer.errors import UnknownDataset
from mercer.jobs import Dataset
from mercer.points import DatasetReference
from mercer.tenants import DEFAULT_TENANT
from store.objects import Objects, ObjectWriter
from store.receiving import mapped, receiving
from store.selection import select
from store.tenants import prefix_of
from store.uploads import Format, KnownUpload, Upload

PREFIX = "datasets/"


class OpenDataset(NamedTuple):
    """A data set and its numbers."""

    dataset: Dataset
    matrix: np.ndarray[Any, Any]
    """(n, d), mapped and read-only."""

    def array(self, reference: DatasetReference) -> np.ndarray[Any, Any]:
        """What a reference asks for: a view of consecutive rows, otherwise a copy.

        Raises:
            InvalidSpec: there are no such rows or columns; pointers begin at the reference.
        """
        return select(self.dataset, reference).of(self.matrix)


class Datasets:
    """The data sets of a tenant in an object store.

    Args:
        objects: Where they are kept.
        max_bytes: The most that one may have, uploaded or as npy.
        tenant: Whose they are.
    """

    def __init__(self, objects: Objects, max_bytes: int, tenant: str = DEFAULT_TENANT) -> None:
        self._objects = objects
        self._max_bytes = max_bytes
        self._prefix = prefix_of(tenant) + PREFIX

    def of(self, tenant: str, max_bytes: int | None = None) -> Datasets:
        """Those of another tenant, perhaps with a bound of its own."""
        return Datasets(self._objects, self._max_bytes if max_bytes is None else max_bytes, tenant)

    def used_bytes(self) -> int:
        """How many bytes they take; lists all of them."""
        return sum(entry.size for entry in self._objects.keys(self._prefix))

    @contextmanager
    def upload(self, digest: str, format: Format) -> Iterator[Upload | KnownUpload]:
        """Receive a data set in chunks; left without a commit, everything is undone.

        One that is known already moves no bytes: its upload takes anything and commits to what is there.

        Args:
            digest: sha256:<64 hex digits> of the bytes that will come.
            format: What they are.

        Raises:
            Unavailable: the store cannot be written.
        """
        if (known := self.info(digest)) is not None:
            yield KnownUpload(known)
            return
        key = self._key(digest, "npy")
        with receiving(self._objects, key, digest, format, self._keep, self._max_bytes) as upload:
            yield upload

    def info(self, digest: str) -> Dataset | None:
        """What is known of a data set; None when there is none."""
        try:
            text = b"".join(self._objects.read(self._key(digest, "json")))
        except KeyError:
            return None
        dataset = Dataset.model_validate_json(text)
        # A deletion beside an upload can leave a mark alone.
        whole = self._objects.size(self._key(digest, "npy")) == dataset.size_bytes
        return dataset if whole else None

    def list(self) -> list[Dataset]:
        """All of them, newest first."""
        digests = ("sha256:" + entry.key.removeprefix(self._prefix)[:64] for entry in self._objects.keys(self._prefix))
        infos = (self.info(digest) for digest in set(digests))
        return sorted((info for info in infos if info), key=lambda info: info.created_at, reverse=True)

    def delete(self, digest: str) -> bool:
        """Delete one; False when there was none. Jobs that read it now read on."""
        # The mark goes first: a crash in between leaves no data set, never one without its matrix.
        known = self._objects.delete(self._key(digest, "json"))
        self._objects.delete(self._key(digest, "npy"))
        return known

    def read(self, digest: str, start: int = 0, stop: int | None = None) -> Iterator[bytes]:
        """Bytes start to stop of its npy file, in chunks.

        Raises:
            UnknownDataset: there is none.
        """
        try:
            return self._objects.read(self._key(digest, "npy"), start, stop)
        except KeyError:
            raise _unknown(digest) from None

    def known(self, digest: str) -> Dataset:
        """What is known of a data set that there is.

        Raises:
            UnknownDataset: there is none.
        """
        if (dataset := self.info(digest)) is None:
            raise _unknown(digest)
        return dataset

    def open(self, digest: str) -> OpenDataset:
        """Map a data set, for as many references as read it.

        Raises:
            UnknownDataset: there is none.
        """
        dataset = self.known(digest)
        return OpenDataset(dataset, self._mapped(dataset))

    def _keep(self, matrix: ObjectWriter, dataset: Dataset) -> None:
        # Without its mark the matrix is no data set: a crash in between leaves nothing to be seen.
        matrix.commit()
        with self._objects.writer(self._key(dataset.digest, "json")) as mark:
            mark.write(dataset.model_dump_json().encode())
            mark.commit()

    def _mapped(self, dataset: Dataset) -> np.ndarray[Any, Any]:
        try:
            return mapped(self._objects, self._key(dataset.digest, "npy"), dataset)
        except KeyError:
            raise _unknown(dataset.digest) from None

    def _key(self, digest: str, suffix: str) -> str:
        return f"{self._prefix}{digest.removeprefix('sha256:')}.{suffix}"


def _unknown(digest: str) -> UnknownDataset:
    return UnknownDataset(f"No data set {digest} has been uploaded: PUT it to /v1/datasets/{digest} first.")
