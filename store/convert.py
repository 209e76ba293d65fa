"""CSV and Parquet to rows of float64, in a process of its own: `python -m store.convert FORMAT MAX_BYTES FD < upload`.

A crafted file of a kilobyte can ask its reader for gigabytes, whatever its footer says; the limits that this process
sets itself turn that into a refusal. It writes the rows to the file descriptor, and to stdout one JSON document: what
it wrote, or a problem. Its caller trusts neither.
"""

from __future__ import annotations

import json
import resource
import sys
from collections import Counter
from io import FileIO
from operator import itemgetter
from typing import Any, BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from mercer.errors import InvalidArray, MercerError, TooLarge
from store.csv_table import open_csv
from store.disk import Appender
from store.matrix import MAX_COLUMNS
from store.table import Table, is_number

MAX_MEMORY_BYTES = 2 * 2**30
"""Address space; honest files need about 300 MB of it."""

MAX_CPU_S = 600
"""A gigabyte of CSV takes about 10."""

BATCH_BYTES = 2**20


def convert(source: BinaryIO, format: str, max_bytes: int, out: Appender) -> dict[str, Any]:
    """Write the numbers of a file as rows of float64.

    Raises:
        InvalidArray: it cannot be read, a number is missing, or there is none.
        TooLarge: the rows take more than max_bytes.
        Unavailable: they cannot be written.
    """
    table = READERS[format](source)
    _check_columns(table)
    max_rows = max_bytes // (8 * len(table.columns))
    rows = 0
    for batch in table.batches:
        _refuse_missing(batch, table.columns, rows)
        rows += batch.num_rows
        if rows > max_rows:
            raise TooLarge(f"expected at most {max_bytes:,} bytes as float64, got more than {max_rows:,} rows")
        columns = [column.cast(pa.float64(), safe=False).to_numpy() for column in batch.columns]
        out.write(np.stack(columns, axis=1).data)
    if rows == 0:
        raise InvalidArray("expected at least one row, got none")
    return {"rows": rows, "columns": table.columns, "text_columns": table.text_columns}


def _check_columns(table: Table) -> None:
    names = [*table.columns, *table.text_columns]
    if len(names) > MAX_COLUMNS:
        raise InvalidArray(f"expected at most {MAX_COLUMNS} columns, got {len(names)}")
    name, times = max(Counter(names).items(), key=itemgetter(1), default=("", 0))
    if times > 1:
        raise InvalidArray(f"expected different column names, got {name[:40]!r} {times} times")
    if not table.columns:
        raise InvalidArray(f"expected at least one column of numbers, got {len(names)} columns of text")


def _refuse_missing(batch: pa.RecordBatch, names: list[str], first_row: int) -> None:
    missing = [
        (first_row + pc.index(column.is_null(), True).as_py(), name)
        for column, name in zip(batch.columns, names, strict=True)
        if column.null_count
    ]
    if missing:
        row, name = min(missing)
        raise InvalidArray(f"expected a number in row {row}, column {name[:40]!r}, got a missing value")


def open_parquet(source: BinaryIO) -> Table:
    """A Parquet file: its flat columns of numbers, row group by row group."""
    file = pq.ParquetFile(source, pre_buffer=False)
    fields = list(file.schema_arrow)
    columns = [field.name for field in fields if is_number(field.type)]
    text_columns = [field.name for field in fields if not is_number(field.type)]
    batch_rows = max(1, BATCH_BYTES // (8 * max(1, len(columns))))
    return Table(columns, text_columns, file.iter_batches(batch_rows, columns=columns, use_threads=False))


READERS = {"csv": open_csv, "parquet": open_parquet}


def main(format: str, max_bytes: str, descriptor: str) -> None:
    """Convert stdin."""
    resource.setrlimit(resource.RLIMIT_AS, (MAX_MEMORY_BYTES, MAX_MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CPU, (MAX_CPU_S, MAX_CPU_S))
    try:
        with open(0, "rb", closefd=False) as source, FileIO(int(descriptor), "wb") as rows:
            answer = convert(source, format, int(max_bytes), Appender(rows))
    except MercerError as error:
        answer = error.problem()
    except MemoryError:
        limit = MAX_MEMORY_BYTES // 2**20
        answer = InvalidArray(f"reading the {format} file takes more than {limit} MiB of memory").problem()
    except (OSError, ValueError, pa.ArrowException) as error:  # pyarrow raises all three on a broken file
        answer = InvalidArray(f"not a {format} file that can be read: {str(error)[:200]}").problem()
    json.dump(answer, sys.stdout)


if __name__ == "__main__":
    main(*sys.argv[1:])
