"""Where the objects of each tenant are: those of `default` at the root, of any other below tenants/<tenant>/."""

from __future__ import annotations

from mercer.tenants import DEFAULT_TENANT

FOLDER = "tenants/"


def prefix_of(tenant: str) -> str:
    """What the keys of a tenant's objects begin with."""
    return "" if tenant == DEFAULT_TENANT else f"{FOLDER}{tenant}/"


def without_tenant(key: str) -> str:
    """A key without what tells whose it is."""
    return key.split("/", 2)[2] if key.startswith(FOLDER) else key
