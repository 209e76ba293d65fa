"""The upload of a CSV or Parquet file: kept aside, read by a process of its own, and stored as an npy file."""

from __future__ import annotations

import json
import subprocess
import sys
from io import FileIO
from pathlib import Path
from typing import Any

import numpy as np
from typing_extensions import Buffer

from mercer.arrays import header_bytes, parse_header
from mercer.errors import BY_CODE, InvalidArray
from store.disk import Appender
from store.matrix import MAX_COLUMNS, MatrixWriter
from store.objects import ObjectWriter
from store.uploads import Matrix

ROOT = Path(__file__).parents[1]
COPY_BYTES = 2**20


class TableBody:
    """A CSV or Parquet file.

    Args:
        format: Which of the two.
        upload: An empty file for its bytes.
        rows: An empty file for its numbers.
        writer: Where the npy file goes.
        max_bytes: The most that the npy file may have.
    """

    def __init__(self, format: str, upload: FileIO, rows: FileIO, writer: ObjectWriter, max_bytes: int) -> None:
        self._format = format
        self._upload = Appender(upload)
        self._rows = rows
        self._writer = writer
        self._max_bytes = max_bytes

    def write(self, data: Buffer) -> None:
        """Keep the next bytes.

        Raises:
            Unavailable: there is no room for them.
        """
        self._upload.write(data)

    def finish(self) -> Matrix:
        """Convert it.

        Raises:
            InvalidArray: it cannot be read, a number is missing or not finite, or there is none.
            TooLarge: as npy it is over the limit.
            Unavailable: there is no room for it.
        """
        facts = self._convert()
        columns = tuple(facts["columns"])
        head = header_bytes((facts["rows"], len(columns)), np.dtype(np.float64))
        header = parse_header(head)
        self._writer.write(head)
        matrix = MatrixWriter(header, self._writer, columns)
        self._rows.seek(0)
        while chunk := self._rows.read(COPY_BYTES):
            matrix.write(chunk)
        return Matrix(header, matrix.finish(), columns, tuple(facts["text_columns"]))

    def _convert(self) -> dict[str, Any]:
        self._upload.file.seek(0)
        descriptor = self._rows.fileno()
        limits = (str(self._max_bytes), str(MAX_COLUMNS))
        done = subprocess.run(
            [sys.executable, "-m", "store.convert", self._format, *limits, str(descriptor)],
            stdin=self._upload.file,
            stdout=subprocess.PIPE,
            pass_fds=(descriptor,),
            cwd=ROOT,
            check=False,
        )
        if done.returncode:
            reason = f"its reader ended with {done.returncode}"
            raise InvalidArray(f"not a {self._format} file that can be read: {reason}")
        answer = json.loads(done.stdout)
        if "code" in answer:
            raise BY_CODE[answer["code"]](answer["detail"])
        return answer
