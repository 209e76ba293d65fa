"""A result as JSON, written while its npy file is read: no result is held whole."""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np
import pydantic_core

from mercer.arrays import header_length
from mercer.jobs import Result


def pieces_of_json(result: Result, npy: Iterator[bytes]) -> Iterator[bytes]:
    """The JSON of mercer.jobs.Result with its value; null stands for NaN and the infinities, which JSON has not.

    Args:
        result: Without its value.
        npy: The whole npy file, cut anywhere.
    """
    head = result.model_dump_json(include={"shape", "dtype", "size_bytes", "facts"})
    yield head[:-1].encode() + b',"value":['
    separator = b""
    for rows in _rows(result, npy):
        yield separator + pydantic_core.to_json(rows.tolist(), inf_nan_mode="null")[1:-1]
        separator = b","
    yield b"]}"


def _rows(result: Result, npy: Iterator[bytes]) -> Iterator[np.ndarray]:
    """Whole rows, as they come."""
    dtype = np.dtype(result.dtype)
    row_shape = result.shape[1:]
    row_bytes = math.prod(row_shape) * dtype.itemsize
    buffer = _after_header(npy)
    for chunk in npy:
        whole = len(buffer) // row_bytes * row_bytes
        if whole:
            yield np.frombuffer(buffer[:whole], dtype).reshape(-1, *row_shape)
        buffer = buffer[whole:] + chunk
    if buffer:
        yield np.frombuffer(buffer, dtype).reshape(-1, *row_shape)


def _after_header(npy: Iterator[bytes]) -> bytes:
    head = b""
    for chunk in npy:
        head += chunk
        if len(head) >= 12 and len(head) >= (length := header_length(head[:12])):
            return head[length:]
    return b""
