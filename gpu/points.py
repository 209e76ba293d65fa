"""The points of many jobs, one job's after another, so that a thousand small jobs are prepared by a few NumPy calls."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from gpu.leaves import Floats

FITTING_SINGLE = {np.dtype(np.float32), np.dtype(np.float16)}


@dataclass(frozen=True)
class Stack:
    """Rows of T jobs.

    What is computed for a job never depends on its neighbours, so that a batch equals its jobs one by one.
    """

    values: Floats
    """(rows of all jobs, d), float64, or float32 where that holds the same numbers and suffices"""
    sizes: Floats
    """(T,) rows of each"""

    @classmethod
    def of(cls, arrays: Sequence[Floats], dtype: np.dtype[Any]) -> Stack:
        """Put arrays of equal width one after another, for this dtype; a single one is not copied if it need not be."""
        single = dtype == np.float32 and {array.dtype for array in arrays} <= FITTING_SINGLE
        kind = np.float32 if single else np.float64
        if len(arrays) == 1:
            return cls(np.ascontiguousarray(arrays[0], dtype=kind), np.array([len(arrays[0])]))
        return cls(np.concatenate(arrays, dtype=kind), np.array([len(array) for array in arrays]))

    @cached_property
    def starts(self) -> Floats:
        """(T,) first row of each."""
        return np.cumsum(self.sizes) - self.sizes

    def columns(self, dimensions: tuple[int, ...] | None) -> Stack:
        """Only these columns, in this order."""
        return self if dimensions is None else Stack(np.ascontiguousarray(self.values[:, dimensions]), self.sizes)

    def without_values(self) -> Stack:
        """The sizes alone, so that the points' memory can go."""
        return Stack(np.empty((0, 0)), self.sizes)

    def with_values(self, values: Floats) -> Stack:
        """Other values for the same jobs."""
        return Stack(values, self.sizes)

    def spread(self, per_job: Floats) -> Floats:
        """One row for each job, given to each of its points; broadcast where there is one job."""
        return per_job if len(self.sizes) == 1 else np.repeat(per_job, self.sizes, axis=0)

    def highest(self, per_row: Floats) -> Floats:
        """(T,) the largest of each job's numbers."""
        return np.maximum.reduceat(per_row, self.starts)

    def every(self, per_row: Floats) -> Floats:
        """(T,) whether all of a job's rows are true."""
        return np.logical_and.reduceat(per_row, self.starts)

    def split(self, array: Floats) -> list[Floats]:
        """One view for each job."""
        ends = np.cumsum(self.sizes).tolist()
        return [array[start:end] for start, end in zip([0, *ends], ends, strict=False)]
