"""CSV files as tables: the delimiter, the header row and the columns' types are found out, once, at the beginning."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO

import pyarrow as pa
import pyarrow.csv as pacsv

from store.table import Refused, Table, check_width, is_number

BLOCK_BYTES = 2**20
"""Read at once; what a column holds is decided on the first block."""

MAX_LINE_BYTES = 16 * 2**20
csv.field_size_limit(MAX_LINE_BYTES)  # a line of numbers is one field to every delimiter but its own


def open_csv(source: BinaryIO, max_columns: int) -> Table:
    """A CSV file with comma, semicolon or tab between its values, with or without a header row.

    Raises:
        Refused: it is empty, too wide, not UTF-8, or its rows differ in length.
    """
    file = _CsvFile(source, max_columns)
    types = file.types()
    numeric = [index for index, type in enumerate(types) if is_number(type)]
    text = [index for index, type in enumerate(types) if not is_number(type)]
    booleans = {index for index in numeric if pa.types.is_boolean(types[index])}
    batches = file.batches(numeric, booleans)
    return Table([file.names[i] for i in numeric], [file.names[i] for i in text], None, batches)


class _CsvFile:
    def __init__(self, source: BinaryIO, max_columns: int) -> None:
        self._source = source
        line = _first_row(source)
        try:
            text = line.decode("utf-8-sig")
        except UnicodeDecodeError:
            raise Refused("expected text in UTF-8") from None
        if not text.strip():
            raise Refused("expected a header row or numbers in the first line, got nothing")
        self._delimiter = max(",;\t", key=lambda delimiter: len(_split(text, delimiter)))
        first = _split(text, self._delimiter)
        check_width(len(first), max_columns)
        self._has_header = not all(_is_float(value) or not value for value in first)
        named = first if self._has_header else [""] * len(first)
        self.names = [name.strip() or f"c{index}" for index, name in enumerate(named)]
        # Numbers may be several times as long as the names above them, and a row has to fit a block.
        self._block_bytes = max(BLOCK_BYTES, 16 * len(line))
        self._ragged: pacsv.InvalidRow | None = None

    def types(self) -> list[pa.DataType]:
        """What pyarrow takes the columns for."""
        with self._explained():
            return list(self._open({}).schema.types)

    def batches(self, numeric: list[int], booleans: set[int]) -> Iterator[pa.RecordBatch]:
        """The numeric columns, in float64 but for booleans."""
        types = {str(index): pa.bool_() if index in booleans else pa.float64() for index in numeric}
        with self._explained():
            try:
                yield from self._open(types)
            except pa.ArrowInvalid:
                if self._ragged is None:
                    self._find_text(numeric, booleans)
                raise

    def _find_text(self, numeric: list[int], booleans: set[int]) -> None:
        """Name the value that is no number, by reading everything again as text."""
        row = 0
        for batch in self._open({str(index): pa.string() for index in numeric}):
            for index, column in zip(numeric, batch.columns, strict=True):
                fits = _is_boolean if index in booleans else _is_float
                for offset, value in enumerate(column.to_pylist()):
                    if value is not None and not fits(value):
                        place = f"row {row + offset}, column {self.names[index][:40]!r}"
                        raise Refused(f"expected a number in {place}, got {value[:20]!r}")
            row += batch.num_rows

    def _open(self, types: dict[str, pa.DataType]) -> pacsv.CSVStreamingReader:
        self._source.seek(0)
        return pacsv.open_csv(
            self._source,
            pacsv.ReadOptions(
                use_threads=False,  # rows are then numbered in the messages
                block_size=self._block_bytes,
                column_names=[str(index) for index in range(len(self.names))],
                skip_rows_after_names=int(self._has_header),
            ),
            pacsv.ParseOptions(
                delimiter=self._delimiter,
                newlines_in_values=True,
                ignore_empty_lines=len(self.names) > 1,  # in a single column it is a missing value
                invalid_row_handler=self._on_ragged,
            ),
            pacsv.ConvertOptions(column_types=types, include_columns=list(types), strings_can_be_null=True),
        )

    @contextmanager
    def _explained(self) -> Iterator[None]:
        """Tell pyarrow's refusal of a row in our own words."""
        try:
            yield
        except pa.ArrowInvalid:
            if (ragged := self._ragged) is None:
                raise
            row = "a row" if ragged.number is None else f"row {ragged.number - 1 - self._has_header}"
            detail = f"expected {ragged.expected_columns} values in {row}, got {ragged.actual_columns}"
            raise Refused(detail) from None

    def _on_ragged(self, row: pacsv.InvalidRow) -> str:
        self._ragged = row
        return "error"


def _first_row(source: BinaryIO) -> bytes:
    """The first line, and those after it that belong to a quoted name."""
    row = source.readline(MAX_LINE_BYTES)
    while row.count(b'"') % 2 and (line := source.readline(MAX_LINE_BYTES - len(row))):
        row += line
    if len(row) == MAX_LINE_BYTES:
        raise Refused(f"expected a first row of less than {MAX_LINE_BYTES} bytes")
    return row


def _split(line: str, delimiter: str) -> list[str]:
    return next(csv.reader(io.StringIO(line, newline=""), delimiter=delimiter), [])


def _is_float(value: str) -> bool:
    try:
        float(value)
    except ValueError:
        return False
    return True


def _is_boolean(value: str) -> bool:
    return value.lower() in {"true", "false", "0", "1"}
