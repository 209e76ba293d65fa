"""Parameters of kernel functions: what a field of a family may hold."""

from __future__ import annotations

import sys
from typing import Annotated, Any

import numpy as np
from pydantic import BeforeValidator, Field, PlainSerializer, PlainValidator, WithJsonSchema

MAX_DIMENSION = 2**31 - 1
"""An index of a column, which the device keeps in 32 bits."""

MAX_DIMENSIONS = 10_000
"""Columns that one family reads by their indices."""

Positive = Annotated[float, Field(gt=0)]
NonNegative = Annotated[float, Field(ge=0)]


def _plain(value: object) -> Any:
    """NumPy's numbers and arrays as Python's."""
    return value.tolist() if isinstance(value, np.generic | np.ndarray) else value


Whole = Annotated[int, BeforeValidator(_plain)]
"""A whole number, Python's or NumPy's."""


def _per_dimension(value: object) -> float | tuple[float, ...]:
    """One positive number, or one for each active dimension."""
    values = _plain(value)
    each: list[Any] | tuple[Any, ...] = values if isinstance(values, list | tuple) else [values]
    for number in each:
        if isinstance(number, bool) or not isinstance(number, int | float):
            raise ValueError(f"expected a number or a list of numbers, got {type(number).__name__}")
        if not 0 < number <= sys.float_info.max:
            raise ValueError(f"expected a finite number > 0, got {number}")
    if not each:
        raise ValueError("expected one number for each active dimension, got none")
    numbers = tuple(float(number) for number in each)
    return numbers if isinstance(values, list | tuple) else numbers[0]


PerDimension = Annotated[
    float | tuple[float, ...],
    PlainValidator(_per_dimension),
    PlainSerializer(lambda value: value, return_type=Any),
    WithJsonSchema(
        {
            "anyOf": [
                {"type": "number", "exclusiveMinimum": 0},
                {"type": "array", "minItems": 1, "items": {"type": "number", "exclusiveMinimum": 0}},
            ]
        }
    ),
]
"""A positive number for all dimensions, or one for each active dimension (automatic relevance determination)."""

Dimensions = Annotated[
    tuple[Annotated[int, Field(ge=0, le=MAX_DIMENSION)], ...],
    Field(min_length=1, max_length=MAX_DIMENSIONS, fail_fast=True),
    BeforeValidator(lambda value: tuple(value) if isinstance(value := _plain(value), list | range) else value),
]
