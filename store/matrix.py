"""A matrix on its way into the store: an npy file whose numbers are checked while they stream by."""

from __future__ import annotations

from typing import Any

import numpy as np
from typing_extensions import Buffer

from mercer.arrays import Header, first_not_finite
from mercer.errors import InvalidArray
from store.objects import ObjectWriter

MAX_COLUMNS = 100_000
"""One row is held in memory at a time, and the smallest number of each column goes into the metadata."""

BLOCK_BYTES = 256 * 1024
"""Checked and written at once: it stays in the processor's cache between the two."""


def check_shape(shape: tuple[int, ...]) -> None:
    """Refuse what is no matrix of points.

    Raises:
        InvalidArray: not (n, d) with n, d >= 1, or too wide.
    """
    if len(shape) == 1:
        raise InvalidArray(f"expected shape (n, d), got {shape}; for points on a line save x[:, None]")
    if len(shape) != 2 or 0 in shape:
        raise InvalidArray(f"expected shape (n, d) with n, d >= 1, got {shape}")
    if shape[1] > MAX_COLUMNS:
        raise InvalidArray(f"expected at most {MAX_COLUMNS} columns, got {shape[1]}")


class MatrixWriter:
    """Writes an npy file's data into an object; refuses NaN, infinities and a length that the header does not say.

    Args:
        header: What the data must fit.
        writer: Where the checked bytes go; it has the header already.
        columns: Names for the messages, when the columns have any.

    Raises:
        InvalidArray: the header is not of a matrix of points.
    """

    def __init__(self, header: Header, writer: ObjectWriter, columns: tuple[str, ...] | None = None) -> None:
        check_shape(header.shape)
        n, d = header.shape
        self._writer = writer
        self._columns = columns
        self._expected = header.body_bytes
        self._received = 0
        rows = min(n, max(1, BLOCK_BYTES // (d * header.dtype.itemsize)))
        self._block = np.empty((rows, d), header.dtype)
        self._bytes = self._block.data.cast("B")
        self._filled = 0
        self._row = 0
        self._minima: np.ndarray[Any, Any] | None = None

    def write(self, data: Buffer) -> None:
        """Take the next bytes, cut anywhere.

        Raises:
            InvalidArray: a number is not finite, or there are more bytes than the header says.
            Unavailable: they cannot be stored.
        """
        rest = memoryview(data)
        self._received += len(rest)
        if self._received > self._expected:
            raise InvalidArray(f"the header says {self._expected} bytes of data, got more")
        while rest:
            taken = rest[: len(self._bytes) - self._filled]
            self._bytes[self._filled : self._filled + len(taken)] = taken
            self._filled += len(taken)
            rest = rest[len(taken) :]
            if self._filled == len(self._bytes):
                self._flush()

    def finish(self) -> tuple[float, ...]:
        """The smallest number of each column, once all bytes came.

        Raises:
            InvalidArray: a number is not finite, or bytes are missing.
            Unavailable: they cannot be stored.
        """
        if self._received < self._expected:
            raise InvalidArray(f"the header says {self._expected} bytes of data, got {self._received}")
        if self._filled:
            self._flush()
        return tuple(float(number) for number in self._minima) if self._minima is not None else ()

    def _flush(self) -> None:
        rows = self._block[: self._filled // (self._block.itemsize * self._block.shape[1])]
        if (bad := first_not_finite(rows)) is not None:
            raise InvalidArray(f"expected finite numbers, got NaN or infinity at {self._place(*bad)}")
        lowest = rows.min(axis=0)
        self._minima = lowest if self._minima is None else np.minimum(self._minima, lowest)
        self._writer.write(self._bytes[: self._filled])
        self._row += len(rows)
        self._filled = 0

    def _place(self, row: int, column: int) -> str:
        row += self._row
        return f"index ({row}, {column})" if self._columns is None else f"row {row}, column {self._columns[column]!r}"
