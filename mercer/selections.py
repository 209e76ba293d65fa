"""Columns and rows of a data set as a shell writes them."""

from __future__ import annotations

from mercer.errors import InvalidRequest
from mercer.jobs import Dataset
from mercer.points import DatasetReference, Rows


def selection(dataset: Dataset, columns: str | None, rows: str | None) -> DatasetReference:
    """Columns by name or index, such as `a,b` or `0,3`; rows such as `0:100`, `0:100:2` or `4,7,9`.

    Raises:
        InvalidRequest: rows cannot be read.
    """
    names = dataset.columns or ()
    chosen = columns.split(",") if columns else None
    return dataset.select(
        columns=chosen and [int(one) if one not in names and one.isdigit() else one for one in chosen],
        rows=_rows(rows) if rows else None,
    )


def _rows(text: str) -> Rows | list[int]:
    try:
        if ":" not in text:
            return [int(row) for row in text.split(",")]
        start, stop, step = (*text.split(":"), "")[:3]
        return Rows(start=int(start or 0), stop=int(stop) if stop else None, step=int(step or 1))
    except ValueError:
        raise InvalidRequest(f"expected rows such as 0:100, 0:100:2 or 4,7,9, got {text}") from None
