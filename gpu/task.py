"""What an operation is given and what it gives back; the seam between workers and gpu."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from mercer.specs import Spec


class Cancelled(Exception):
    """Raised by `Task.report` when the job was cancelled: the operation lets it pass through."""


@dataclass(frozen=True)
class Task:
    """One job of a batch."""

    spec: Spec
    arrays: Mapping[str, np.ndarray[Any, Any]]
    """By field name, each (n, d); memory-mapped and read-only when it is a data set."""
    report: Callable[[float], None] = lambda fraction: None
    """Tells the progress, from 0 to 1, between tiles of a long job.

    Raises:
        Cancelled: the job was cancelled.
    """
    about: Mapping[str, Any] = field(default_factory=dict)
    """By field name, what is public beside the numbers: the terms of a private data set, or the parameters of a
    release."""


@dataclass(slots=True)
class Answer:
    """A result that can be written while it is computed. Nobody changes it; freezing it would make it slow to make."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    blocks: Iterable[np.ndarray[Any, Any]]
    """C-contiguous blocks of whole rows, in order. A block is only valid until the next one is asked for.

    A tuple holds the whole result as one block, computed already.
    """
    facts: dict[str, Any] = field(default_factory=dict)
    """What to tell the user: see mercer.jobs.Result.facts."""

    def array(self) -> np.ndarray[Any, Any]:
        """The whole result in memory."""
        if isinstance(self.blocks, tuple):
            (whole,) = self.blocks
            return whole
        out = np.empty(self.shape, self.dtype)
        row = 0
        for block in self.blocks:
            out[row : row + len(block)] = block
            row += len(block)
        return out
