"""Which rows and columns of a data set a reference asks for, decided from its metadata alone."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from mercer.arrays import ArrayInfo
from mercer.errors import FieldError, InvalidSpec
from mercer.jobs import Dataset
from mercer.points import DatasetReference, Rows

NAMES_IN_A_MESSAGE = 20


class Selection(NamedTuple):
    """What to take of a matrix; None takes everything."""

    rows: slice | list[int] | None
    columns: list[int] | None

    def shape(self, whole: tuple[int, ...]) -> tuple[int, int]:
        """Of what is taken."""
        n, d = whole
        taken = len(range(n)[self.rows]) if isinstance(self.rows, slice) else n if self.rows is None else len(self.rows)
        return taken, d if self.columns is None else len(self.columns)

    def of(self, matrix: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        """A view where whole rows that follow each other are taken, otherwise a contiguous copy."""
        taken = matrix if self.rows is None else matrix[self.rows]
        taken = taken if self.columns is None else taken[:, self.columns]
        return np.ascontiguousarray(taken)

    def info(self, dataset: Dataset) -> ArrayInfo:
        """What is known of it beforehand. The minimum of chosen rows is known only when no row at all is negative."""
        minima = dataset.minima if self.columns is None else [dataset.minima[column] for column in self.columns]
        lowest = min(minima)
        known = self.rows is None or lowest >= 0
        return ArrayInfo(self.shape(dataset.shape), dataset.dtype, lowest if known else None)


def select(dataset: Dataset, reference: DatasetReference) -> Selection:
    """What the reference asks for.

    Raises:
        InvalidSpec: it asks for what is not there; pointers begin at the reference.
    """
    return Selection(_rows(dataset, reference), _columns(dataset, reference))


def _rows(dataset: Dataset, reference: DatasetReference) -> slice | list[int] | None:
    n = dataset.shape[0]
    rows = reference.rows
    if isinstance(rows, Rows):
        chosen = slice(rows.start, rows.stop, rows.step)
        if not range(n)[chosen]:
            raise _refuse("/rows", f"expected at least one of the {n} rows, got none")
        return chosen
    if rows is None:
        return None
    for index, row in enumerate(rows):
        if row >= n:
            raise _refuse(f"/rows/{index}", f"expected a row below {n}, got {row}")
    return list(rows)


def _columns(dataset: Dataset, reference: DatasetReference) -> list[int] | None:
    if reference.columns is None:
        if dataset.text_columns:
            raise _refuse(
                "/columns",
                f"this data set has text columns ({_some(dataset.text_columns)}), which are not part of the matrix: "
                f"expected columns to be named, among {_some(dataset.columns or ())}",
            )
        return None
    return [_column(dataset, index, column) for index, column in enumerate(reference.columns)]


def _column(dataset: Dataset, index: int, column: int | str) -> int:
    pointer, d = f"/columns/{index}", dataset.shape[1]
    if isinstance(column, int):
        if column >= d:
            raise _refuse(pointer, f"expected a column below {d}, got {column}")
        return column
    if dataset.columns is None:
        raise _refuse(pointer, f"this data set's columns have no names: expected an index below {d}")
    if column not in dataset.columns:
        raise _refuse(pointer, f"expected one of {_some(dataset.columns)}, got {column[:40]!r}")
    return dataset.columns.index(column)


def _some(names: tuple[str, ...]) -> str:
    shown = ", ".join(repr(name) for name in names[:NAMES_IN_A_MESSAGE])
    return shown if len(names) <= NAMES_IN_A_MESSAGE else f"{shown} and {len(names) - NAMES_IN_A_MESSAGE} more"


def _refuse(pointer: str, detail: str) -> InvalidSpec:
    return InvalidSpec("The reference does not fit the data set.", errors=(FieldError(pointer, detail),))
