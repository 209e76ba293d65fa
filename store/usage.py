"""How many bytes the store holds."""

from __future__ import annotations

from store.objects import Objects
from store.tenants import without_tenant


def used_bytes(objects: Objects) -> dict[str, int]:
    """The bytes of all tenants' objects by their part of the store, such as `results`; lists every one of them."""
    used: dict[str, int] = {}
    for entry in objects.keys(""):
        part = without_tenant(entry.key).partition("/")[0]
        used[part] = used.get(part, 0) + entry.size
    return used
