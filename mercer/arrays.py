"""How arrays travel: .npy bytes by digest when they are large, JSON lists when they are small; never pickle."""

from __future__ import annotations

import ast
import hashlib
import math
import struct
from collections.abc import Sequence
from typing import Annotated, Any, Literal, NamedTuple

import numpy as np
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic_core import PydanticCustomError, core_schema

from mercer.errors import InvalidArray

MAX_INLINE = 1_000
"""Numbers in an inline array: JSON costs 300 times what npy does, so larger ones are uploaded."""

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


def _invalid(detail: str) -> InvalidArray:
    return InvalidArray(f"not an npy file that can be read: {detail}")


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


def first_not_finite(array: np.ndarray[Any, Any]) -> tuple[int, ...] | None:
    """The index of the first NaN or infinity in C order, or None."""
    if array.dtype.kind != "f" or (finite := np.isfinite(array)).all():
        return None
    return tuple(int(i) for i in np.unravel_index(int(np.argmin(finite)), array.shape))


Index = Annotated[int, Field(ge=0, le=MAX_INDEX)]


class Rows(BaseModel):
    """Rows start, start + step, ... before stop."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    start: Index = 0
    stop: Index | None = None
    step: Annotated[int, Field(ge=1, le=MAX_INDEX)] = 1


def _from_sequence(value: object) -> object:
    """In Python, also a list, a range, a NumPy array or a slice."""
    if isinstance(value, slice):
        given = {"start": value.start, "stop": value.stop, "step": value.step}
        return {name: number for name, number in given.items() if number is not None}
    if isinstance(value, np.ndarray):
        return tuple(value.tolist())
    return tuple(value) if isinstance(value, list | range) else value


class DatasetReference(BaseModel):
    """An uploaded data set, or some of its columns and rows, in the order given."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    dataset: Annotated[str, Field(pattern=r"^sha256:[0-9a-f]{64}$")]
    columns: Annotated[
        Annotated[tuple[Index | str, ...], Field(min_length=1, max_length=10_000)] | None,
        BeforeValidator(_from_sequence),
    ] = None
    """Names or indices from 0."""
    rows: Annotated[
        Rows | Annotated[tuple[Index, ...], Field(min_length=1, max_length=100_000)] | None,
        BeforeValidator(_from_sequence),
    ] = None


class Points:
    """Annotation of a field that holds points, shape (n, d): an inline list, a data set, or a NumPy array.

    A parsed spec holds a float64 array for an inline list and a `DatasetReference` for a data set.
    In Python any real array is taken as it is, and a `mercer.Dataset`; an array over MAX_INLINE numbers must be
    uploaded before the spec is sent, as the client does by itself.
    """

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> core_schema.CoreSchema:
        """JSON: a list of rows or a reference. Python: also any real array."""
        reference = handler.generate_schema(DatasetReference)
        number = core_schema.float_schema(strict=True, allow_inf_nan=False)
        rows = core_schema.no_info_after_validator_function(
            _from_rows,
            # The first wrong number is enough: a long list of NaN would make an error as long.
            core_schema.list_schema(core_schema.list_schema(number, fail_fast=True), strict=True, fail_fast=True),
        )
        from_json = core_schema.tagged_union_schema(
            {"reference": reference, "rows": rows},
            lambda value: "rows" if isinstance(value, list) else "reference",
        )
        return core_schema.json_or_python_schema(
            json_schema=from_json,
            python_schema=core_schema.tagged_union_schema(
                {
                    "reference": core_schema.no_info_before_validator_function(_reference_of, reference),
                    "array": core_schema.no_info_plain_validator_function(_from_python),
                },
                lambda value: "reference" if isinstance(_reference_of(value), DatasetReference | dict) else "array",
            ),
            serialization=core_schema.plain_serializer_function_ser_schema(_to_json),
        )

    def __get_pydantic_json_schema__(
        self, schema: core_schema.CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        """The wire forms."""
        return {
            "description": f"An (n, d) list of rows of at most {MAX_INLINE} numbers in all, or an uploaded data set.",
            "anyOf": [
                {
                    "type": "array",
                    "minItems": 1,
                    "maxItems": MAX_INLINE,
                    "items": {
                        "type": "array",
                        "minItems": 1,
                        "maxItems": MAX_INLINE,
                        "items": {"type": "number"},
                    },
                },
                handler(DatasetReference.__pydantic_core_schema__),
            ],
        }


def _from_rows(rows: list[list[float]]) -> np.ndarray[Any, Any]:
    if not rows or not rows[0]:
        raise PydanticCustomError("array_empty", "expected at least one point of at least one number, got none")
    width = len(rows[0])
    for index, row in enumerate(rows):
        if len(row) != width:
            raise PydanticCustomError(
                "array_ragged",
                "expected rows of equal length, got {got} numbers in row {row} and {width} in row 0",
                {"got": len(row), "row": index, "width": width},
            )
    if (size := len(rows) * width) > MAX_INLINE:
        raise PydanticCustomError(
            "array_too_long",
            "expected at most {limit} inline numbers, got {size}; upload it with PUT /v1/datasets/{digest}",
            {"limit": MAX_INLINE, "size": size},
        )
    return _frozen(np.array(rows, dtype=np.float64))


def _reference_of(value: object) -> object:
    return getattr(value, "reference", value)  # the record of an uploaded data set stands for all of it


def _from_python(value: object) -> np.ndarray[Any, Any]:
    if not isinstance(value, np.ndarray | Sequence):
        raise PydanticCustomError(
            "array_type", "expected an array of shape (n, d), got {type}", {"type": type(value).__name__}
        )
    try:
        array = np.asarray(value)
    except ValueError:
        raise PydanticCustomError("array_ragged", "expected rows of equal length") from None
    if array.dtype.kind not in "fiu":
        raise PydanticCustomError(
            "array_dtype", "expected real numbers, got dtype {dtype}", {"dtype": str(array.dtype)}
        )
    if array.ndim != 2 or array.size == 0:
        raise PydanticCustomError(
            "array_shape",
            "expected shape (n, d) with n, d >= 1, got {shape}; for points on a line use x[:, None]",
            {"shape": str(array.shape)},
        )
    if (bad := first_not_finite(array)) is not None:
        raise PydanticCustomError(
            "array_not_finite",
            "expected finite numbers, got NaN or infinity at index {index}",
            {"index": str(bad)},
        )
    return _frozen(array)


def _frozen(array: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    view = array.view()
    view.flags.writeable = False
    return view


def _to_json(value: np.ndarray[Any, Any] | DatasetReference) -> Any:
    if isinstance(value, DatasetReference):
        return value.model_dump(exclude_none=True)
    if value.size > MAX_INLINE:
        raise ValueError(f"an array of {value.size} numbers must be uploaded; inline ones have at most {MAX_INLINE}")
    return value.astype(np.float64).tolist()


PointsField = Annotated[np.ndarray[Any, Any] | DatasetReference, Points()]
ArrayReference = np.ndarray[Any, Any] | DatasetReference


def info_of(array: np.ndarray[Any, Any]) -> ArrayInfo:
    """What admission needs to know of an inline array."""
    return ArrayInfo(array.shape, array.dtype.name, float(array.min()))
