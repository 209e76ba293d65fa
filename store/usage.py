"""How many bytes the store holds."""

from __future__ import annotations

from store.objects import Objects
from store.private import PARTS
from store.tenants import without_tenant


def used_bytes(objects: Objects) -> dict[str, int]:
    """The bytes of all tenants' objects by their part of the store, such as `results`, but for private data sets.

    How many bytes these take tells how many records there are. Lists every object.
    """
    used: dict[str, int] = {}
    for entry in objects.keys(""):
        key = without_tenant(entry.key)
        if key.startswith(PARTS):
            continue
        part = key.partition("/")[0]
        used[part] = used.get(part, 0) + entry.size
    return used
