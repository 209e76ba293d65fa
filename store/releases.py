"""Private releases: each an immutable object under the id of the job that made it, published once.

releases/<id>: the length of the parameters in ASCII digits and a line end, the parameters as JSON, the npy file.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
from pydantic_core import from_json, to_json

from mercer.arrays import from_npy, npy_sha256, to_npy
from mercer.errors import UnknownRelease
from mercer.tenants import DEFAULT_TENANT
from store.objects import Objects
from store.tenants import prefix_of

PREFIX = "releases/"

_ID = re.compile(r"[0-9a-f]{32}")


class Release(NamedTuple):
    """What was published."""

    object: str
    offset: int
    """Where its npy file begins in the object."""
    length: int
    parameters: dict[str, Any]
    vector: np.ndarray[Any, Any]


class Releases:
    """The releases of a tenant.

    Args:
        objects: Where they are kept.
        tenant: Whose they are.
    """

    def __init__(self, objects: Objects, tenant: str = DEFAULT_TENANT) -> None:
        self._objects = objects
        self._prefix = prefix_of(tenant) + PREFIX

    def of(self, tenant: str) -> Releases:
        """Those of another tenant."""
        return Releases(self._objects, tenant)

    def publish(self, release_id: str, vector: np.ndarray[Any, Any], parameters: dict[str, Any]) -> Release:
        """Publish what was drawn, unless something was published before: that is what counts, and what is returned.

        Raises:
            Unavailable: it cannot be stored.
        """
        stated = to_json({**parameters, "release": release_id, "vector_sha256": npy_sha256(vector)})
        with self._objects.writer(self._prefix + release_id) as writer:
            writer.write_all([str(len(stated)).encode() + b"\n", stated, to_npy(vector)])
            writer.commit()
        return self.known(release_id)

    def find(self, release_id: str) -> Release | None:
        """What was published under an id; None when nothing was."""
        if not _ID.fullmatch(release_id):
            return None
        key = self._prefix + release_id
        try:
            whole = b"".join(self._objects.read(key))
        except KeyError:
            return None
        head, _, rest = whole.partition(b"\n")
        end = int(head)
        offset = len(head) + 1 + end
        return Release(key, offset, len(whole) - offset, from_json(rest[:end]), from_npy(whole[offset:]))

    def known(self, release_id: str) -> Release:
        """What was published under an id.

        Raises:
            UnknownRelease: nothing was.
        """
        if (release := self.find(release_id)) is None:
            raise UnknownRelease(f"no release {release_id[:64]}: expected the id of a job that made one")
        return release

    def read(self, release: Release, start: int = 0, stop: int | None = None) -> Iterator[bytes]:
        """Bytes start to stop of its npy file, in chunks."""
        end = release.length if stop is None else min(stop, release.length)
        return self._objects.read(release.object, release.offset + start, release.offset + end)

    def list(self) -> list[str]:
        """The ids of all of them, in no order."""
        return [entry.key.removeprefix(self._prefix) for entry in self._objects.keys(self._prefix)]
