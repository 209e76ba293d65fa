"""What is uploaded: arrays and files, read piece by piece and named by their digest."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from mercer.arrays import DTYPES, header_bytes
from mercer.errors import InvalidArray, UnsupportedFormat
from mercer.steps import Chunks

CHUNK_BYTES = 2**20
NPY = "application/x-npy"
MEDIA_TYPES = {".npy": NPY, ".csv": "text/csv", ".parquet": "application/vnd.apache.parquet"}
"""By the file's suffix."""


class Source(NamedTuple):
    """Bytes to upload; never all in memory at once."""

    media_type: str
    size_bytes: int
    chunks: Chunks

    def digest(self) -> str:
        """The content address; reads all of it."""
        sha256 = hashlib.sha256()
        for chunk in self.chunks():
            sha256.update(chunk)
        return "sha256:" + sha256.hexdigest()


def source(data: str | os.PathLike[str] | np.ndarray[Any, Any]) -> Source:
    """A file, by its path, or an array.

    Raises:
        InvalidArray: a dtype that cannot travel, or not an array of shape (n, d).
        UnsupportedFormat: a file that is not .npy, .csv or .parquet.
        OSError: the file cannot be read.
    """
    return _of_file(Path(data)) if isinstance(data, str | os.PathLike) else of_array(np.asarray(data))


def of_array(array: np.ndarray[Any, Any]) -> Source:
    """The npy file of an array, without a copy of it when it is C-ordered; np.memmap is read piece by piece.

    Raises:
        InvalidArray: a dtype that cannot travel, or not an array of shape (n, d).
    """
    contiguous = np.asarray(array, array.dtype.newbyteorder("<"), order="C")
    if contiguous.dtype.str not in DTYPES:
        raise InvalidArray(f"expected a dtype among {', '.join(DTYPES)}, got {array.dtype.str}; see x.astype(float)")
    if array.ndim != 2 or array.size == 0:
        raise InvalidArray(f"expected shape (n, d) with n, d >= 1, got {array.shape}")
    header = header_bytes(contiguous.shape, contiguous.dtype)
    view = contiguous.data.cast("B")

    def chunks() -> Iterator[bytes]:
        yield header
        for start in range(0, len(view), CHUNK_BYTES):
            yield bytes(view[start : start + CHUNK_BYTES])

    return Source(NPY, len(header) + len(view), chunks)


def _of_file(path: Path) -> Source:
    if (media_type := MEDIA_TYPES.get(path.suffix.lower())) is None:
        raise UnsupportedFormat(f"expected a file named {', '.join(MEDIA_TYPES)}, got {path.name}")

    def chunks() -> Iterator[bytes]:
        with path.open("rb") as file:
            while chunk := file.read(CHUNK_BYTES):
                yield chunk

    return Source(media_type, path.stat().st_size, chunks)
