"""What a CSV and a Parquet file have in common once opened.

It and all that `store.convert` imports know nothing of mercer, whose import would double the start of that process.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import pyarrow as pa


class Refused(Exception):
    """The file cannot become a matrix.

    Args:
        detail: What was expected and what was got.
        code: Of the error in mercer.errors that the caller raises.
    """

    def __init__(self, detail: str, code: str = "invalid-array") -> None:
        super().__init__(detail)
        self.detail = detail
        self.code = code


class Table(NamedTuple):
    """A file opened: its columns, and its numbers batch by batch."""

    columns: list[str]
    text_columns: list[str]
    rows: int | None
    """As the file claims; None when it does not say."""
    batches: Iterator[pa.RecordBatch]


def check_width(columns: int, max_columns: int) -> None:
    """Refuse a table that is too wide, before anything of its width is made.

    Raises:
        Refused: it is.
    """
    if columns > max_columns:
        raise Refused(f"expected at most {max_columns} columns, got {columns}")


def is_number(type: pa.DataType) -> bool:
    """Whether values of this type belong into a matrix. A column of nothing but missing values does, and is refused."""
    tests = (pa.types.is_integer, pa.types.is_floating, pa.types.is_boolean, pa.types.is_decimal, pa.types.is_null)
    return any(test(type) for test in tests)
