"""Files that are no matrix, or claim to be a larger one than they are."""

import io
import struct
from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

MIB = 2**20


def npy(descr: str, shape: str, body: bytes = b"", order: str = "False") -> bytes:
    """An npy file whose header says what it likes."""
    text = f"{{'descr': {descr!r}, 'fortran_order': {order}, 'shape': {shape}, }}\n".encode()
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text + body


def table_of(columns: dict[str, Any], **options: Any) -> bytes:
    """A Parquet file."""
    out = io.BytesIO()
    pq.write_table(pa.table(columns), out, **options)
    return out.getvalue()


NPY_FILES: dict[str, Callable[[], bytes]] = {
    "npy of (10^5, 10^6), no body": lambda: npy("<f8", "(100000, 1000000)"),
    "npy of (40,000, 40,000), no body": lambda: npy("<f8", "(40000, 40000)"),
    "npy of (2^32, 2^32), no body": lambda: npy("<f8", "(4294967296, 4294967296)"),
    "npy of 10^4,000 rows": lambda: npy("<f8", f"(1{'0' * 3_900}, 1)"),
    "npy of (-1, -1)": lambda: npy("<f8", "(-1, -1)"),
    "npy of (True, 1)": lambda: npy("<f8", "(True, 1)"),
    "npy of 2 GB of text": lambda: npy("S2147483647", "(4, 1)"),
    "npy of objects": lambda: npy("|O", "(1, 1)", b"cos\nsystem\n(S'true'\ntR."),
    "npy of records": lambda: (
        b"\x93NUMPY\x01\x00" + struct.pack("<H", 60) + b"{'descr': [('a', '<f8')] * 3000}".ljust(60)
    ),
    "npy header of 20 kB": lambda: b"\x93NUMPY\x01\x00" + struct.pack("<H", 20_000) + b" " * 20_000,
    "npy header of 4 GB": lambda: b"\x93NUMPY\x02\x00" + struct.pack("<I", 2**32 - 1) + b" " * 1_000_000,
    "npy header 2,000 deep": lambda: b"\x93NUMPY\x01\x00" + struct.pack("<H", 4_000) + b"(" * 2_000 + b")" * 2_000,
    "npy header of unary minuses": lambda: b"\x93NUMPY\x01\x00" + struct.pack("<H", 4_000) + b"-" * 4_000,
    "npy header of garbage": lambda: b"\x93NUMPY\x01\x00" + struct.pack("<H", 8) + b"\x06\x00]\x00\x06\t\xfb\x00",
    "npy header alone, cut": lambda: npy("<f8", "(4, 1)")[:30],
    "npy of NaN": lambda: npy("<f8", "(2, 1)", struct.pack("<2d", 1.0, float("nan"))),
    "npy with a byte too many": lambda: npy("<f8", "(1, 1)", b"\0" * 9),
    "npy with a byte too few": lambda: npy("<f8", "(1, 1)", b"\0" * 7),
    "npy of a million columns": lambda: npy("<f8", "(1, 1000000)", b"\0" * 8_000_000),
    "npz": lambda: _npz(),
    "pickle": lambda: b"\x80\x04\x95" + b"\0" * 1_000,
}

CSV_FILES: dict[str, Callable[[], bytes]] = {
    "CSV of a million columns": lambda: b",".join([b"1"] * 1_000_000) + b"\n",
    "CSV with a row of a million values": lambda: b"a,b\n1,2\n" + b",".join([b"1"] * 1_000_000) + b"\n",
    "CSV of quotes": lambda: b'"' * 1_000_001,
    "CSV of line ends": lambda: b"\n" * 1_000_000,
    "CSV of NULs": lambda: b"\0" * 1_000_000,
    "CSV of nothing": lambda: b"",
    "CSV in UTF-16": lambda: "a,b\n1,2\n".encode("utf-16"),
    "CSV with NaN": lambda: b"a,b\n1,nan\n",
    "CSV with inf": lambda: b"a\n1e999\n",
    "CSV of text": lambda: b"a,b\nx,y\n",
    "CSV with a number of a million digits": lambda: b"a\n1\n" + b"9" * 1_000_000 + b"\n",
}

PARQUET_FILES: dict[str, Callable[[], bytes]] = {
    "Parquet of 2 billion zeros": lambda: _zeros(),
    "Parquet of a dictionary of long text": lambda: table_of({"t": ["x" * MIB] * 1_000}, compression="zstd"),
    "Parquet of nested lists": lambda: table_of({"l": [[[[1.0]]]] * 100}),
    "Parquet cut": lambda: table_of({"a": [1.0] * 1_000})[:-9],
    "Parquet with a footer of 2 GB": lambda: b"PAR1" + b"\0" * 100 + struct.pack("<I", 2**31 - 1) + b"PAR1",
    "Parquet with a footer of noise": lambda: b"PAR1" + bytes(range(256)) * 4 + struct.pack("<I", 1_000) + b"PAR1",
    "Parquet with NaN": lambda: table_of({"a": [1.0, float("nan")]}),
    "Parquet with a missing value": lambda: table_of({"a": [1.0, None]}),
}


def _zeros() -> bytes:
    """One row group copied many times: 2 * 10^9 rows in some hundred kilobytes."""
    out = io.BytesIO()
    table = pa.table({"zeros": np.zeros(50_000_000)})
    with pq.ParquetWriter(out, table.schema, compression="zstd", use_dictionary=True) as writer:
        writer.write_table(table, row_group_size=50_000_000)
    return out.getvalue()


def _npz() -> bytes:
    out = io.BytesIO()
    np.savez_compressed(out, x=np.zeros((1_000_000, 2)))
    return out.getvalue()
