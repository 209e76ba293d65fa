"""Arrays as npy bytes, read strictly and never by pickle."""

from __future__ import annotations

import ast
import hashlib
import math
import struct
from functools import lru_cache
from typing import Any, Literal, NamedTuple

import numpy as np

from mercer.errors import InvalidArray

MAX_INLINE = 1_000
"""Numbers in an array that travels within a job spec or record; larger ones are uploaded or fetched by themselves."""

MAX_HEADER_BYTES = 4_096
"""NumPy writes 118 bytes for a plain array; only a crafted file needs more than this."""

MAGIC = b"\x93NUMPY"
DTYPES = ("<f8", "<f4", "<f2", "<i8", "<i4", "<i2", "|i1", "<u4", "<u2", "|u1")
"""What an upload may hold: real numbers, little endian. Computing is in float32 or float64."""

MAX_INDEX = 2**53
"""Of a row or column, and the largest size of an array: what JSON readers everywhere keep exactly."""

DType = Literal["float32", "float64"]


class Header(NamedTuple):
    """What an npy header says."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    size_bytes: int
    """Of the header itself: the data begin there."""

    @property
    def body_bytes(self) -> int:
        """Of the data."""
        return math.prod(self.shape) * self.dtype.itemsize


class ArrayInfo(NamedTuple):
    """What is known of an array before it is read."""

    shape: tuple[int, ...]
    dtype: str
    minimum: float | None = None
    """The smallest number in it, when known."""
    about: Any = None
    """What else is public: the terms of a private data set, or the parameters of a release."""


def _invalid(detail: str) -> InvalidArray:
    return InvalidArray(f"not an npy file that can be read: {detail}")


@lru_cache(maxsize=64)
def header_length(head: bytes) -> int:
    """How many bytes the npy header takes, magic included.

    Args:
        head: At least the first 12 bytes of the file.

    Raises:
        InvalidArray: no npy file, an unknown version, or a header over MAX_HEADER_BYTES.
    """
    if not head.startswith(MAGIC):
        raise _invalid("expected it to begin with the bytes \\x93NUMPY")
    if len(head) < 12:
        raise _invalid(f"expected a header, got {len(head)} bytes in all")
    if (version := (head[6], head[7])) not in {(1, 0), (2, 0), (3, 0)}:
        raise _invalid(f"expected format version 1.0, 2.0 or 3.0, got {version[0]}.{version[1]}")
    length = 10 + struct.unpack_from("<H", head, 8)[0] if head[6] == 1 else 12 + struct.unpack_from("<I", head, 8)[0]
    if length > MAX_HEADER_BYTES:
        raise _invalid(f"expected a header of at most {MAX_HEADER_BYTES} bytes, got {length}")
    return int(length)


@lru_cache(maxsize=1_024)  # like jobs have like headers
def parse_header(head: bytes) -> Header:
    """Read an npy header strictly, without NumPy's reader, which allocates what the header claims.

    Args:
        head: The whole header, as long as `header_length` says.

    Raises:
        InvalidArray: anything but a C-ordered array of real numbers.
    """
    start = 10 if head[6] == 1 else 12
    try:
        fields = ast.literal_eval(head[start:].decode("utf-8").strip())
    except Exception:  # noqa: BLE001 - the parser raises six kinds of errors on crafted input
        raise _invalid("expected a dictionary of descr, fortran_order and shape in its header") from None
    if not isinstance(fields, dict) or set(fields) != {"descr", "fortran_order", "shape"}:
        raise _invalid("expected exactly descr, fortran_order and shape in its header")
    if (descr := fields["descr"]) not in DTYPES:
        raise _invalid(f"expected a dtype among {', '.join(DTYPES)}, got {str(descr)[:40]}")
    if fields["fortran_order"] is not False:
        raise _invalid("expected C order; save it with np.ascontiguousarray(x)")
    shape = fields["shape"]
    sizes_ok = isinstance(shape, tuple) and all(type(size) is int and 0 <= size <= MAX_INDEX for size in shape)
    if not sizes_ok or len(shape) > 3:
        raise _invalid("expected a shape of at most 3 sizes from 0 to 2^53")
    return Header(shape, np.dtype(descr), len(head))


@lru_cache(maxsize=1_024)
def header_bytes(shape: tuple[int, ...], dtype: np.dtype[Any]) -> bytes:
    """An npy 1.0 header, padded to 64 bytes so that the data can be mapped aligned."""
    text = f"{{'descr': {dtype.str!r}, 'fortran_order': False, 'shape': {shape!r}, }}"
    padding = -(len(text) + 11) % 64
    body = text.encode() + b" " * padding + b"\n"
    return MAGIC + b"\x01\x00" + struct.pack("<H", len(body)) + body


def to_npy(array: np.ndarray[Any, Any]) -> bytes:
    """The npy file of an array.

    Raises:
        InvalidArray: a dtype that cannot travel, such as object or complex.
    """
    contiguous = np.asarray(array, array.dtype.newbyteorder("<"), order="C")
    if contiguous.dtype.str not in DTYPES:
        raise InvalidArray(f"expected a dtype among {', '.join(DTYPES)}, got {contiguous.dtype}")
    return header_bytes(contiguous.shape, contiguous.dtype) + contiguous.tobytes()


def from_npy(data: bytes | memoryview) -> np.ndarray[Any, Any]:
    """The array of an npy file, without a copy and read-only.

    Raises:
        InvalidArray: not an npy file, or its header does not match its length.
    """
    view = memoryview(data)
    header = parse_header(bytes(view[: header_length(bytes(view[:12]))]))
    if len(view) - header.size_bytes != header.body_bytes:
        raise _invalid(f"its header says {header.body_bytes} bytes of data, got {len(view) - header.size_bytes}")
    return np.frombuffer(view[header.size_bytes :], header.dtype).reshape(header.shape)


def digest(data: bytes | memoryview) -> str:
    """The content address `sha256:<64 hex digits>`."""
    return "sha256:" + hashlib.sha256(data).hexdigest()


def npy_sha256(array: np.ndarray[Any, Any]) -> str:
    """SHA-256 of the npy file of an array, 64 hex digits.

    Raises:
        InvalidArray: a dtype that cannot travel, such as object or complex.
    """
    return hashlib.sha256(to_npy(array)).hexdigest()


def first_not_finite(array: np.ndarray[Any, Any]) -> tuple[int, ...] | None:
    """The index of the first NaN or infinity in C order, or None."""
    if array.dtype.kind != "f" or (finite := np.isfinite(array)).all():
        return None
    return tuple(int(i) for i in np.unravel_index(int(np.argmin(finite)), array.shape))


def info_of(array: np.ndarray[Any, Any], *, minimum: bool = True) -> ArrayInfo:
    """What admission needs to know of an inline array; its minimum costs more than all the rest."""
    return ArrayInfo(array.shape, _name(array.dtype), float(array.min()) if minimum else None)


@lru_cache(maxsize=64)  # NumPy takes 2 us to say it
def _name(dtype: np.dtype[Any]) -> str:
    return dtype.name
