"""An operation's answer as the job record holds it: small ones as numbers, larger ones as a place in the store."""

from __future__ import annotations

import math
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import numpy as np
from pydantic_core import to_json

from gpu.task import Answer
from mercer.arrays import MAX_INLINE, header_bytes
from store.results import OWN_OBJECT_BYTES, ResultBatch, Stored
from workers.stopwatch import Stopwatch


def records(answers: Sequence[Answer], stored: ResultBatch, stopwatch: Stopwatch) -> list[bytes]:
    """Of all answers of a batch. Those that are computed already are stored together.

    Raises:
        Unavailable: one cannot be stored.
    """
    places = iter(stored.add_together([answer.array() for answer in answers if _is_ready(answer)]))
    return [
        _stored(answer, next(places)) if _is_ready(answer) else record(answer, stored, stopwatch) for answer in answers
    ]


def record(answer: Answer, stored: ResultBatch, stopwatch: Stopwatch) -> bytes:
    """The JSON of mercer.jobs.Result; of a stored answer with its object, offset and length.

    Raises:
        Unavailable: it cannot be stored.
    """
    if math.prod(answer.shape) > MAX_INLINE:
        return _stored(answer, stored.add(answer.shape, answer.dtype, stopwatch.timed(answer.blocks)))
    array = answer.array()
    # JSON has no NaN and no infinity.
    if np.isfinite(array).all():
        return to_json(_form(answer.shape, answer.dtype) | {"facts": answer.facts, "value": array.tolist()})
    return _stored(answer, stored.add(array.shape, array.dtype, [array]))


def _is_ready(answer: Answer) -> bool:
    """Whether it is computed, too long for its record and not too long for an object that it shares."""
    size = math.prod(answer.shape)
    return isinstance(answer.blocks, tuple) and size > MAX_INLINE and size * answer.dtype.itemsize < OWN_OBJECT_BYTES


def _stored(answer: Answer, place: Stored) -> bytes:
    return to_json(_form(answer.shape, answer.dtype) | {"facts": answer.facts} | place._asdict())


@lru_cache(maxsize=1_024)
def _form(shape: tuple[int, ...], dtype: np.dtype[Any]) -> dict[str, Any]:
    """Kept, because like jobs have like results and NumPy is slow to name a dtype."""
    size_bytes = len(header_bytes(shape, dtype)) + math.prod(shape) * dtype.itemsize
    return {"shape": shape, "dtype": dtype.name, "size_bytes": size_bytes}
