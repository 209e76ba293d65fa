"""CSV and Parquet to rows of float64, in a process of its own.

    python -m store.convert FORMAT MAX_BYTES MAX_COLUMNS FD < upload

A crafted file of a kilobyte can ask its reader for gigabytes, whatever its footer says; the limits that this process
sets itself turn that into a refusal. It writes the rows to the file descriptor, and to stdout one JSON document: what
it wrote, or the code and detail of an error. Its caller trusts neither.
"""

from __future__ import annotations

import json
import os
import resource
import sys
from collections import Counter
from io import BytesIO, FileIO
from operator import itemgetter
from typing import Any, BinaryIO

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from store.csv_table import open_csv
from store.parquet_table import open_parquet
from store.table import Refused, Table

MAX_MEMORY_BYTES = 2 * 2**30
"""Of address space; an honest file needs about 300 MB of it."""

MAX_CPU_S = 600
"""A gigabyte of CSV takes about 10."""

READERS = {"csv": open_csv, "parquet": open_parquet}


def convert(source: BinaryIO, format: str, max_bytes: int, max_columns: int, out: FileIO | BytesIO) -> dict[str, Any]:
    """Write the numbers of a file as rows of float64.

    Returns:
        How many rows, and the names of the columns of numbers and of text.

    Raises:
        Refused: it cannot be read, a number is missing, there is none, or there are too many.
    """
    table = READERS[format](source, max_columns)
    _check_columns(table)
    max_rows = max_bytes // (8 * len(table.columns))
    _check_rows(table.rows or 0, max_rows, max_bytes)
    rows = 0
    for batch in table.batches:
        _refuse_missing(batch, table.columns, rows)
        rows += batch.num_rows
        _check_rows(rows, max_rows, max_bytes)
        _write(batch, out)
    if rows == 0:
        raise Refused("expected at least one row, got none")
    return {"rows": rows, "columns": table.columns, "text_columns": table.text_columns}


def _check_rows(rows: int, max_rows: int, max_bytes: int) -> None:
    if rows > max_rows:
        detail = f"expected at most {max_bytes:,} bytes as float64, got more than {max_rows:,} rows"
        raise Refused(detail, "too-large")


def _check_columns(table: Table) -> None:
    names = [*table.columns, *table.text_columns]
    name, times = max(Counter(names).items(), key=itemgetter(1), default=("", 0))
    if times > 1:
        raise Refused(f"expected different column names, got {name[:40]!r} {times} times")
    if not table.columns:
        raise Refused(f"expected at least one column of numbers, got {len(names)} columns of text")


def _refuse_missing(batch: pa.RecordBatch, names: list[str], first_row: int) -> None:
    missing = [
        (first_row + pc.index(column.is_null(), True).as_py(), name)
        for column, name in zip(batch.columns, names, strict=True)
        if column.null_count
    ]
    if missing:
        row, name = min(missing)
        raise Refused(f"expected a number in row {row}, column {name[:40]!r}, got a missing value")


def _write(batch: pa.RecordBatch, out: FileIO | BytesIO) -> None:
    columns = [column.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False) for column in batch.columns]
    rest = np.stack(columns, axis=1).data.cast("B")
    try:
        while rest:
            rest = rest[out.write(rest) :]
    except OSError as error:
        raise Refused(f"The store cannot be written: {error.strerror}.", "unavailable") from error


def main(format: str, max_bytes: str, max_columns: str, descriptor: str) -> None:
    """Convert stdin."""
    resource.setrlimit(resource.RLIMIT_AS, (MAX_MEMORY_BYTES, MAX_MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CPU, (MAX_CPU_S, MAX_CPU_S))
    with open(0, "rb", closefd=False) as source, FileIO(int(descriptor), "wb") as rows:
        try:
            answer = convert(source, format, int(max_bytes), int(max_columns), rows)
        except Refused as refusal:
            answer = {"code": refusal.code, "detail": refusal.detail}
        except MemoryError:
            limit = MAX_MEMORY_BYTES // 2**20
            answer = _unreadable(f"reading the {format} file takes more than {limit} MiB of memory")
        except (OSError, ValueError, pa.ArrowException) as error:  # pyarrow raises all three on a broken file
            answer = _unreadable(f"not a {format} file that can be read: {str(error)[:200]}")
    json.dump(answer, sys.stdout)
    sys.stdout.flush()
    # Not the usual end, in which a thread of Arrow that still runs aborts the process, one in a hundred under load.
    os._exit(0)


def _unreadable(detail: str) -> dict[str, Any]:
    return {"code": "invalid-array", "detail": detail}


if __name__ == "__main__":
    main(*sys.argv[1:])
