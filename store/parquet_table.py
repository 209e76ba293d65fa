"""Parquet files as tables."""

from __future__ import annotations

from typing import BinaryIO

import pyarrow.parquet as pq

from store.table import Table, check_width, is_number

BATCH_BYTES = 2**20
"""Decoded at once, whatever the size of a row group."""


def open_parquet(source: BinaryIO, max_columns: int) -> Table:
    """A Parquet file: its flat columns of numbers, batch by batch.

    Raises:
        Refused: it has too many columns.
        OSError: it cannot be read.
        ValueError: it is no Parquet file.
    """
    file = pq.ParquetFile(source, pre_buffer=False)
    check_width(file.metadata.num_columns, max_columns)
    fields = list(file.schema_arrow)
    columns = [field.name for field in fields if is_number(field.type)]
    text_columns = [field.name for field in fields if not is_number(field.type)]
    rows = max(1, BATCH_BYTES // (8 * max(1, len(columns))))
    return Table(
        columns, text_columns, file.metadata.num_rows, file.iter_batches(rows, columns=columns, use_threads=False)
    )
