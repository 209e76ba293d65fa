"""How a matrix comes into the store and is mapped out of it, whatever it is called there."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from mmap import ACCESS_READ, mmap
from typing import Any, Protocol

import numpy as np

from mercer.jobs import Dataset
from store.objects import Objects, ObjectWriter
from store.table_uploads import TableBody
from store.uploads import Body, Format, NpyBody, Upload


@contextmanager
def receiving(
    objects: Objects,
    key: str,
    digest: str,
    format: Format,
    keep: Callable[[ObjectWriter, Dataset], None],
    max_bytes: int,
) -> Iterator[Upload]:
    """Receive a matrix in chunks; left without a commit, everything is undone.

    Args:
        objects: Where it is kept.
        key: Of its npy file.
        digest: sha256:<64 hex digits> of the bytes that will come.
        format: What they are.
        keep: Commits the npy file and makes it what it is to be seen as; called once all came and is right.
        max_bytes: The most that may come, and that the npy file may have.

    Raises:
        Unavailable: the store cannot be written.
    """
    with ExitStack() as opened:
        matrix = opened.enter_context(objects.writer(key))
        body: Body = NpyBody(matrix, max_bytes)
        if format != "npy":
            aside, rows = (opened.enter_context(objects.scratch()) for _ in range(2))
            body = TableBody(format, aside, rows, matrix, max_bytes)
        yield Upload(digest, format, body, matrix, keep, max_bytes)


class Shaped(Protocol):
    """What an npy file has to be known of to be mapped."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the matrix."""

    @property
    def dtype(self) -> str:
        """Its name."""

    @property
    def size_bytes(self) -> int:
        """Of the file."""


def mapped(objects: Objects, key: str, known: Shaped) -> np.ndarray[Any, Any]:
    """The matrix of an npy file, read-only; it outlives the object's deletion.

    Raises:
        KeyError: there is no such object.
        Unavailable: it cannot be read.
    """
    dtype = np.dtype(known.dtype)
    offset = known.size_bytes - math.prod(known.shape) * dtype.itemsize
    with objects.local_file(key) as file:
        view = mmap(file.fileno(), 0, access=ACCESS_READ)
    return np.frombuffer(view, dtype, offset=offset).reshape(known.shape)
