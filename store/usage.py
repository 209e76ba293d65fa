"""How many bytes the store holds."""

from __future__ import annotations

from store.objects import Objects
from store.private import DATA, TERMS
from store.tenants import without_tenant

PRIVATE = (DATA, TERMS)
"""How many bytes private data take tells how many records there are."""


def used_bytes(objects: Objects) -> dict[str, int]:
    """The bytes of all tenants' objects by their part of the store, such as `results`, but for private data sets.

    Lists every object.
    """
    used: dict[str, int] = {}
    for entry in objects.keys(""):
        key = without_tenant(entry.key)
        if key.startswith(PRIVATE):
            continue
        part = key.partition("/")[0]
        used[part] = used.get(part, 0) + entry.size
    return used
