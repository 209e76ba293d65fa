"""Where the objects of each tenant are: those of `default` at the root, of any other below tenants/<tenant>/."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain

from mercer.tenants import DEFAULT_TENANT
from store.objects import Entry, Objects

FOLDER = "tenants/"


def prefix_of(tenant: str) -> str:
    """What the keys of a tenant's objects begin with."""
    return "" if tenant == DEFAULT_TENANT else f"{FOLDER}{tenant}/"


def tenant_of(key: str) -> str:
    """Whose the object of a key is."""
    return key.split("/", 2)[1] if key.startswith(FOLDER) else DEFAULT_TENANT


def of_all_tenants(objects: Objects, prefix: str) -> Iterator[Entry]:
    """The objects of all tenants below a part of the store, such as results/."""
    entries = chain(objects.keys(prefix), objects.keys(FOLDER))
    return (entry for entry in entries if without_tenant(entry.key).startswith(prefix))


def without_tenant(key: str) -> str:
    """A key without what tells whose it is."""
    return key.split("/", 2)[2] if key.startswith(FOLDER) else key
