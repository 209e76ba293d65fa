"""An operation's answer as the job record holds it: small ones as numbers, larger ones as a place in the store."""

from __future__ import annotations

import math
from functools import lru_cache
from typing import Any

import numpy as np
from pydantic_core import to_json

from gpu.task import Answer
from mercer.arrays import MAX_INLINE, header_bytes
from store.results import ResultBatch
from workers.stopwatch import Stopwatch


def record(answer: Answer, stored: ResultBatch, stopwatch: Stopwatch) -> bytes:
    """The JSON of mercer.jobs.Result; of a stored answer with its object, offset and length.

    Raises:
        Unavailable: it cannot be stored.
    """
    fields = _form(answer.shape, answer.dtype) | {"facts": answer.facts}
    if math.prod(answer.shape) > MAX_INLINE:
        return to_json(fields | stored.add(answer.shape, answer.dtype, stopwatch.timed(answer.blocks))._asdict())
    array = answer.array()
    # JSON has no NaN and no infinity.
    if np.isfinite(array).all():
        return to_json(fields | {"value": array.tolist()})
    return to_json(fields | stored.add(array.shape, array.dtype, [array])._asdict())


@lru_cache(maxsize=1_024)
def _form(shape: tuple[int, ...], dtype: np.dtype[Any]) -> dict[str, Any]:
    """Kept, because like jobs have like results and NumPy is slow to name a dtype."""
    size_bytes = len(header_bytes(shape, dtype)) + math.prod(shape) * dtype.itemsize
    return {"shape": shape, "dtype": dtype.name, "size_bytes": size_bytes}
