"""Points in a job spec: inline when they are few, by the digest of an uploaded data set otherwise."""

from __future__ import annotations

from base64 import b64decode, b64encode
from collections.abc import Callable, Sequence
from typing import Annotated, Any

import numpy as np
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic_core import PydanticCustomError, core_schema

from mercer.arrays import MAX_HEADER_BYTES, MAX_INDEX, MAX_INLINE, first_not_finite, from_npy, to_npy
from mercer.errors import InvalidArray

MAX_BASE64 = 4 * (MAX_HEADER_BYTES + 8 * MAX_INLINE + 2) // 3
"""Letters of the longest inline npy file. JSON lists cost ten times as much to write and to read."""

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
        Annotated[tuple[Index | str, ...], Field(min_length=1, max_length=10_000, fail_fast=True)] | None,
        BeforeValidator(_from_sequence),
    ] = None
    """Names or indices from 0."""
    rows: Annotated[
        Rows | Annotated[tuple[Index, ...], Field(min_length=1, max_length=100_000, fail_fast=True)] | None,
        BeforeValidator(_from_sequence),
    ] = None


class PrivateReference(BaseModel):
    """A data set that is protected: only private releases may read it, and all of it."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    private: Annotated[str, Field(pattern=r"^[0-9a-f]{32}$")]
    """Its name."""


class ReleaseReference(BaseModel):
    """A private release, by the id of the job that made it."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    release: Annotated[str, Field(pattern=r"^[0-9a-f]{32}$")]


class Points:
    """Annotation of a field that holds points, shape (n, d): inline, an uploaded data set, or a NumPy array.

    A parsed spec holds an array for inline points (float64 for a list) and a `DatasetReference` for a data set.
    In Python any real array is taken as it is, and a `mercer.Dataset`; an array over MAX_INLINE numbers must be
    uploaded before the spec is sent, as the client does by itself.
    """

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> core_schema.CoreSchema:
        """JSON: a list of rows, an npy file in base64, or a reference. Python: also any real array."""
        rows = core_schema.list_schema(NUMBERS, strict=True, fail_fast=True)
        return array_schema(handler, core_schema.no_info_after_validator_function(_from_rows, rows), points_of)

    def __get_pydantic_json_schema__(
        self, schema: core_schema.CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        """The wire forms."""
        listed = {"type": "array", "minItems": 1, "maxItems": MAX_INLINE}
        return array_json_schema(handler, "An (n, d) list of rows", listed | {"items": listed | NUMBER_ITEMS})


class Column:
    """Annotation of a field that holds one number for each point, such as weights: shape (n, 1) in a parsed spec.

    On the wire a list of n numbers, an npy file or one column of a data set; in Python also an array of shape (n,).
    """

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> core_schema.CoreSchema:
        """As Points, with a flat list in the place of rows."""
        return array_schema(handler, core_schema.no_info_after_validator_function(_from_numbers, NUMBERS), column_of)

    def __get_pydantic_json_schema__(
        self, schema: core_schema.CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        """The wire forms."""
        listed = {"type": "array", "minItems": 1, "maxItems": MAX_INLINE} | NUMBER_ITEMS
        return array_json_schema(handler, "A list of n numbers", listed)


NUMBER_ITEMS: dict[str, Any] = {"items": {"type": "number"}}
NUMBERS = core_schema.list_schema(
    # The first wrong number is enough: a long list of NaN would make an error as long.
    core_schema.float_schema(strict=True, allow_inf_nan=False),
    strict=True,
    fail_fast=True,
)


def array_schema(
    handler: GetCoreSchemaHandler,
    listed: core_schema.CoreSchema,
    from_python: Callable[[object], np.ndarray[Any, Any]],
) -> core_schema.CoreSchema:
    """Of a field that takes an array: listed in JSON, as an npy file in base64, or by reference.

    Args:
        handler: Makes the schema of a reference.
        listed: From a JSON list to the array.
        from_python: From what Python gives to the array.
    """
    reference = handler.generate_schema(DatasetReference)
    file = core_schema.typed_dict_field(core_schema.str_schema(strict=True, max_length=MAX_BASE64))

    def from_base64(wire: dict[str, str]) -> np.ndarray[Any, Any]:
        return from_python(_decoded(wire["npy"]))

    npy = core_schema.no_info_after_validator_function(
        from_base64, core_schema.typed_dict_schema({"npy": file}, extra_behavior="forbid")
    )
    return core_schema.json_or_python_schema(
        json_schema=core_schema.tagged_union_schema({"reference": reference, "rows": listed, "npy": npy}, _form),
        python_schema=core_schema.tagged_union_schema(
            {
                "reference": core_schema.no_info_before_validator_function(_reference_of, reference),
                "npy": npy,
                "array": core_schema.no_info_plain_validator_function(from_python),
            },
            _python_form,
        ),
        serialization=core_schema.plain_serializer_function_ser_schema(_to_json),
    )


def array_json_schema(handler: GetJsonSchemaHandler, what: str, listed: dict[str, Any]) -> dict[str, Any]:
    """The wire forms of such a field."""
    return {
        "description": f"{what}, or an npy file in base64, of at most {MAX_INLINE} numbers in all; "
        "or an uploaded data set.",
        "anyOf": [
            listed,
            {
                "type": "object",
                "properties": {"npy": {"type": "string", "contentEncoding": "base64", "maxLength": MAX_BASE64}},
                "required": ["npy"],
                "additionalProperties": False,
            },
            handler(DatasetReference.__pydantic_core_schema__),
        ],
    }


def _form(value: object) -> str:
    if isinstance(value, list):
        return "rows"
    return "npy" if isinstance(value, dict) and "npy" in value else "reference"


def _python_form(value: object) -> str:
    return _form(value) if isinstance(_reference_of(value), DatasetReference | dict) else "array"


def _decoded(letters: str) -> np.ndarray[Any, Any]:
    try:
        array = from_npy(b64decode(letters, validate=True))
    except (ValueError, InvalidArray) as error:  # a wrong letter, or not an npy file
        raise PydanticCustomError("array_npy", "expected an npy file in base64; {why}", {"why": str(error)}) from None
    _check_size(array.size)
    return array


def _check_size(size: int) -> None:
    if size > MAX_INLINE:
        raise PydanticCustomError(
            "array_too_long",
            "expected at most {limit} inline numbers, got {size}; upload it with PUT /v1/datasets/{digest}",
            {"limit": MAX_INLINE, "size": size},
        )


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
    _check_size(len(rows) * width)
    return _frozen(np.array(rows, dtype=np.float64))


def _from_numbers(numbers: list[float]) -> np.ndarray[Any, Any]:
    return _from_rows([[number] for number in numbers])


def _reference_of(value: object) -> object:
    return getattr(value, "reference", value)  # the record of an uploaded data set stands for all of it


def column_of(value: object) -> np.ndarray[Any, Any]:
    """The (n, 1) array of n numbers, given as (n,) or (n, 1).

    Raises:
        PydanticCustomError: they are not real, not finite, or of another shape.
    """
    array = _real(value, "(n,)")
    if array.shape[1:] not in ((), (1,)) or array.size == 0:
        raise PydanticCustomError(
            "array_shape", "expected shape (n,) with n >= 1, got {shape}", {"shape": str(array.shape)}
        )
    return _frozen(array.reshape(-1, 1))


def points_of(value: object) -> np.ndarray[Any, Any]:
    """The (n, d) array that Python gave, not copied.

    Raises:
        PydanticCustomError: it is not real, not finite, or of another shape.
    """
    array = _real(value, "(n, d)")
    if array.ndim != 2 or array.size == 0:
        raise PydanticCustomError(
            "array_shape",
            "expected shape (n, d) with n, d >= 1, got {shape}; for points on a line use x[:, None]",
            {"shape": str(array.shape)},
        )
    return _frozen(array)


def _real(value: object, shape: str) -> np.ndarray[Any, Any]:
    if not isinstance(value, np.ndarray | Sequence):
        raise PydanticCustomError(
            "array_type",
            "expected an array of shape {shape}, got {type}",
            {"shape": shape, "type": type(value).__name__},
        )
    try:
        array = np.asarray(value)
    except ValueError:
        raise PydanticCustomError("array_ragged", "expected rows of equal length") from None
    if array.dtype.kind not in "fiu":
        raise PydanticCustomError(
            "array_dtype", "expected real numbers, got dtype {dtype}", {"dtype": str(array.dtype)}
        )
    if (bad := first_not_finite(array)) is not None:
        raise PydanticCustomError(
            "array_not_finite",
            "expected finite numbers, got NaN or infinity at index {index}",
            {"index": str(bad)},
        )
    return array


def _frozen(array: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    view = array.view()
    view.flags.writeable = False
    return view


def _to_json(value: np.ndarray[Any, Any] | DatasetReference) -> Any:
    if isinstance(value, DatasetReference):
        return value.model_dump(exclude_none=True)
    if value.size > MAX_INLINE:
        raise ValueError(f"an array of {value.size} numbers must be uploaded; inline ones have at most {MAX_INLINE}")
    return {"npy": b64encode(to_npy(value)).decode()}


ColumnField = Annotated[np.ndarray[Any, Any] | DatasetReference, Column()]
PointsField = Annotated[np.ndarray[Any, Any] | DatasetReference, Points()]
PrivateField = Annotated[PrivateReference, BeforeValidator(_reference_of)]
ReleaseField = Annotated[ReleaseReference, BeforeValidator(_reference_of)]
ArrayReference = np.ndarray[Any, Any] | DatasetReference | PrivateReference | ReleaseReference
