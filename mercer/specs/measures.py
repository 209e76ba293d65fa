"""Measures in job specs: points with weights that are not negative and sum to 1."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any

import numpy as np
from pydantic import AfterValidator, BeforeValidator, Field, ValidationInfo
from pydantic_core import PydanticCustomError

from mercer.arrays import ArrayInfo
from mercer.errors import FieldError, InvalidSpec
from mercer.points import ArrayReference, ColumnField, DatasetReference

SUM_TOLERANCE = 1e-6
"""How far the sum of weights may be from 1 before they are refused: they are divided by it in any case."""


def _weights(value: np.ndarray[Any, Any] | DatasetReference, info: ValidationInfo) -> Any:
    if isinstance(value, np.ndarray) and (why := _fault(value, normalize=bool(info.data.get("normalize")))):
        raise PydanticCustomError("weights", "{why}", {"why": why})
    return value


WeightsField = Annotated[ColumnField, AfterValidator(_weights)]
"""One weight for each point, shape (n, 1) in a parsed spec; a spec that has it declares `normalize: bool` before it.

Weights within a spec are checked when it is parsed, those of a data set by `weights_of` when the job runs.
"""


SizesField = Annotated[
    tuple[Annotated[int, Field(ge=1)], ...],
    BeforeValidator(lambda given: tuple(given) if isinstance(given, list) else given),
    Field(min_length=2, max_length=10_000),
]
"""How many points each of several measures has, whose points are stacked on each other."""


def stacked(measures: Sequence[Any], weights: Sequence[Any] | None = None) -> dict[str, Any]:
    """The fields `points`, `sizes` and `weights` of a spec over several measures.

    Args:
        measures: Arrays of shape (n_i, d).
        weights: Of shape (n_i,) for each measure, or for none.

    Raises:
        ValueError: they have different numbers of columns.
    """
    arrays = [np.asarray(measure) for measure in measures]
    stack = None if weights is None else np.concatenate([np.asarray(own) for own in weights])
    return {"points": np.concatenate(arrays), "sizes": tuple(len(array) for array in arrays), "weights": stack}


def given_of(spec: Any, *names: str) -> dict[str, ArrayReference]:
    """Those of the fields that are given."""
    return {name: array for name in names if (array := getattr(spec, name)) is not None}


def sizes_misfit(infos: Mapping[str, ArrayInfo], sizes: Sequence[int]) -> Iterator[FieldError]:
    """Where the sizes do not sum to the number of points."""
    if (total := sum(sizes)) != (n := infos["points"].shape[0]):
        yield FieldError("/sizes", f"expected sizes that sum to the {n} points, got {total}")


def _fault(weights: np.ndarray[Any, Any], *, normalize: bool) -> str | None:
    """What is wrong with them; None when nothing is."""
    if (least := float(weights.min())) < 0:
        return f"expected weights >= 0, got {least:.6g} at index {int(weights.argmin())}"
    total = float(weights.sum(dtype=np.float64))
    if normalize:
        return None if total > 0 else "expected some weight above 0, got none"
    if abs(total - 1) > SUM_TOLERANCE:
        return f"expected weights that sum to 1 within {SUM_TOLERANCE:g}, got {total:.9g}; or say normalize"
    return None


def check_parts(weights: ArrayReference | None, sizes: Sequence[int], *, normalize: bool) -> None:
    """Look at the weights of several measures when a spec is parsed; those of a data set when the job runs.

    Raises:
        ValueError: something is wrong with them.
    """
    if isinstance(weights, np.ndarray) and (why := _fault_of_parts(weights, sizes, normalize=normalize)):
        raise ValueError(why)


def _fault_of_parts(weights: np.ndarray[Any, Any], sizes: Sequence[int], *, normalize: bool) -> str | None:
    """What is wrong with the weights of several measures, one after another; None when nothing is."""
    for index, part in enumerate(parts(weights, sizes)):
        if len(part) and (why := _fault(part, normalize=normalize)):
            return f"measure {index}: {why}"
    return None


def parts(stack: np.ndarray[Any, Any], sizes: Sequence[int]) -> list[np.ndarray[Any, Any]]:
    """The rows of each measure."""
    return np.split(stack, np.cumsum(sizes)[:-1])


def misfits(infos: Mapping[str, ArrayInfo], points: str, weights: str) -> Iterator[FieldError]:
    """Where the field of weights does not fit that of the points, from shapes and minima alone."""
    if (info := infos.get(weights)) is None:
        return
    n = infos[points].shape[0]
    if info.shape != (n, 1):
        yield FieldError(f"/{weights}", f"expected {n} weights, one for each point, got shape {info.shape}")
    elif info.minimum is not None and info.minimum < 0:
        yield FieldError(f"/{weights}", f"expected weights >= 0, got {info.minimum:.6g}")


def same_dimension(infos: Mapping[str, ArrayInfo], x: str = "x", y: str = "y") -> Iterator[FieldError]:
    """Where the points of y have not as many columns as those of x."""
    d = infos[x].shape[1]
    if infos[y].shape[1] != d:
        yield FieldError(f"/{y}", f"expected shape (m, {d}) as {x} has {d} columns, got {infos[y].shape}")


def refuse(errors: Iterator[FieldError] | Sequence[FieldError], detail: str) -> None:
    """Say what is wrong, if anything is.

    Raises:
        InvalidSpec: with all errors.
    """
    if several := tuple(errors):
        raise InvalidSpec(detail, errors=several)


def weights_of(
    arrays: Mapping[str, np.ndarray[Any, Any]], field: str, *, normalize: bool
) -> np.ndarray[Any, Any] | None:
    """The weights of a job that runs, shape (n,) in float64, with the sum 1; None where it has none.

    Raises:
        InvalidSpec: those of a data set are negative or do not sum to 1.
    """
    if (given := arrays.get(field)) is None:
        return None
    if why := _fault(given, normalize=normalize):
        raise InvalidSpec("The weights do not fit.", errors=(FieldError(f"/{field}", why),))
    weights = np.asarray(given, np.float64)[:, 0]
    return weights / weights.sum()


def weights_of_parts(
    arrays: Mapping[str, np.ndarray[Any, Any]], sizes: Sequence[int], *, normalize: bool
) -> list[np.ndarray[Any, Any]] | list[None]:
    """The weights of each measure of a job that runs, float64 with the sum 1; None for each where it has none.

    Raises:
        InvalidSpec: those of a data set are negative or do not sum to 1.
    """
    if (given := arrays.get("weights")) is None:
        return [None] * len(sizes)
    if why := _fault_of_parts(given, sizes, normalize=normalize):
        raise InvalidSpec("The weights do not fit.", errors=(FieldError("/weights", why),))
    return [part[:, 0] / part.sum() for part in parts(np.asarray(given, np.float64), sizes)]
