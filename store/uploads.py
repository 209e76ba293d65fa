"""An upload in progress: counted, hashed and handed on in chunks; never held in memory."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Literal, NamedTuple, Protocol

from typing_extensions import Buffer

from mercer.arrays import Header, header_length, parse_header
from mercer.errors import DigestMismatch, InvalidArray, TooLarge
from mercer.jobs import Dataset
from store.matrix import MatrixWriter
from store.objects import ObjectWriter

Format = Literal["npy", "csv", "parquet"]


class Matrix(NamedTuple):
    """What was written into the store."""

    header: Header
    minima: tuple[float, ...]
    columns: tuple[str, ...] | None = None
    text_columns: tuple[str, ...] = ()


class Body(Protocol):
    """Turns the bytes of one format into an npy file in the store."""

    def write(self, data: Buffer) -> None:
        """Take the next bytes, cut anywhere.

        Raises:
            InvalidArray: they are not what the format says.
            Unavailable: they cannot be stored.
        """

    def finish(self) -> Matrix:
        """Write what is left, once all bytes came.

        Raises:
            InvalidArray: they are not what the format says.
            TooLarge: as npy it is over the limit.
            Unavailable: they cannot be stored.
        """


Keep = Callable[[ObjectWriter, Dataset], None]
"""Commits the matrix of a data set and stores its metadata."""


class Upload:
    """A data set that is being received; nobody sees it before the commit."""

    def __init__(
        self, digest: str, format: Format, body: Body, matrix: ObjectWriter, keep: Keep, max_bytes: int
    ) -> None:
        self._digest = digest
        self._format = format
        self._body = body
        self._matrix = matrix
        self._keep = keep
        self._left = max_bytes
        self._max_bytes = max_bytes
        self._hash = hashlib.sha256()

    def write(self, data: Buffer) -> None:
        """Take the next bytes, cut anywhere.

        Raises:
            InvalidArray: they are not what the format says.
            TooLarge: there are more than the limit.
            Unavailable: they cannot be stored.
        """
        self._left -= memoryview(data).nbytes
        if self._left < 0:
            raise TooLarge(f"expected a data set of at most {self._max_bytes:,} bytes, got more")
        self._hash.update(data)
        self._body.write(data)

    def commit(self) -> Dataset:
        """Make it a data set, durable and visible.

        Raises:
            DigestMismatch: the bytes are not those that it was named after.
            InvalidArray: they are not what the format says.
            TooLarge: as npy it is over the limit.
            Unavailable: they cannot be stored.
        """
        if (got := f"sha256:{self._hash.hexdigest()}") != self._digest:
            raise DigestMismatch(f"expected a body with digest {self._digest}, got {got}")
        matrix = self._body.finish()
        dataset = Dataset(
            digest=self._digest,
            shape=matrix.header.shape,
            dtype=matrix.header.dtype.name,
            format=self._format,
            size_bytes=self._matrix.size,
            columns=matrix.columns,
            text_columns=matrix.text_columns,
            minima=matrix.minima,
            created_at=datetime.now(UTC),
        )
        self._keep(self._matrix, dataset)
        return dataset


class KnownUpload:
    """The upload of a data set that the store has: it moves no bytes."""

    def __init__(self, dataset: Dataset) -> None:
        self._dataset = dataset

    def write(self, data: Buffer) -> None:
        """Nothing to do."""

    def commit(self) -> Dataset:
        """The data set that is there."""
        return self._dataset


class NpyBody:
    """An npy file: its header is read strictly, its data are checked and stored as they are."""

    def __init__(self, writer: ObjectWriter, max_bytes: int) -> None:
        self._writer = writer
        self._max_bytes = max_bytes
        self._head = b""
        self._header: Header | None = None
        self._matrix: MatrixWriter | None = None

    def write(self, data: Buffer) -> None:
        """Take the next bytes, cut anywhere.

        Raises:
            InvalidArray: no npy file of a matrix of finite numbers.
            TooLarge: the header announces more than the limit.
            Unavailable: they cannot be stored.
        """
        if self._matrix is not None:
            self._matrix.write(data)
            return
        self._head += bytes(data)
        if len(self._head) >= 12 and len(self._head) >= (length := header_length(self._head[:12])):
            self._begin(length)

    def finish(self) -> Matrix:
        """Check that all came.

        Raises:
            InvalidArray: bytes are missing.
            Unavailable: they cannot be stored.
        """
        if self._matrix is None or self._header is None:
            raise InvalidArray(f"expected an npy file, got {len(self._head)} bytes, less than its header")
        return Matrix(self._header, self._matrix.finish())

    def _begin(self, length: int) -> None:
        header = parse_header(self._head[:length])
        if (size := header.size_bytes + header.body_bytes) > self._max_bytes:
            raise TooLarge(f"expected a data set of at most {self._max_bytes:,} bytes, got a header for {size:,}")
        self._header, self._matrix = header, MatrixWriter(header, self._writer)
        self._writer.write(self._head[:length])
        rest, self._head = self._head[length:], b""
        self._matrix.write(rest)
