"""What a CSV and a Parquet file have in common once opened."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import pyarrow as pa


class Table(NamedTuple):
    """A file opened: its columns, and its numbers batch by batch."""

    columns: list[str]
    text_columns: list[str]
    batches: Iterator[pa.RecordBatch]


def is_number(type: pa.DataType) -> bool:
    """Whether values of this type belong into a matrix. A column of nothing but missing values does, and is refused."""
    tests = (pa.types.is_integer, pa.types.is_floating, pa.types.is_boolean, pa.types.is_decimal, pa.types.is_null)
    return any(test(type) for test in tests)
