"""How many bytes the store holds."""

from __future__ import annotations

from store.objects import Objects


def used_bytes(objects: Objects) -> dict[str, int]:
    """The bytes of all objects by the first part of their keys, such as `results`; lists every one of them."""
    used: dict[str, int] = {}
    for entry in objects.keys(""):
        part = entry.key.partition("/")[0]
        used[part] = used.get(part, 0) + entry.size
    return used
