"""The store that the settings name."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from pydantic import Field

from store.local import LocalObjects
from store.objects import Objects, UnsuitableStore

StoreUrl = Annotated[
    str | None,
    Field(
        pattern=r"^s3://[a-z0-9][a-z0-9.-]{1,61}[a-z0-9](/[\w.-]+)*/?$",
        description="s3://bucket/prefix: where data sets and results are instead; AWS_* say how to reach it.",
    ),
]
"""The setting of it; None is the local folder."""

CACHE = "cache"
"""The folder of the local copies."""


def open_objects(url: str | None, folder: Path, cache_bytes: int) -> Objects:
    """The objects, in a place that has been seen to answer.

    Args:
        url: s3://bucket/prefix; absent, they are in the folder.
        folder: Theirs; with a url, that of local copies and of work in progress.
        cache_bytes: The most that the local copies may have together.

    Raises:
        UnsuitableStore: what is there cannot be used.
        Unavailable: it does not answer.
    """
    if url is None:
        return LocalObjects(folder)
    try:
        # boto3 is an extra, and takes 0.2 s to load.
        from store.bucket import Location
        from store.cache import Cache
        from store.s3 import S3Objects
    except ModuleNotFoundError as error:
        raise UnsuitableStore(f"MERCER_STORE_URL needs {error.name}: pip install 'mercer[s3]'") from None
    objects = S3Objects(Location.of(url), Cache(folder / CACHE, cache_bytes))
    objects.check()
    objects.clear_abandoned()
    return objects
