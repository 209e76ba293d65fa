"""The terms on which a private data set may be used: public, set once by its custodian, never taken from the data."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, Any, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from mercer.arrays import ArrayInfo
from mercer.privacy.accounting import MOST_DELTA, MOST_EPSILON, Budget

MAX_RECORDS = 2**31
"""So that sums of 31-bit integers fit 62 bits."""

Numbers = Annotated[
    tuple[Annotated[float, Field(allow_inf_nan=False)], ...],
    # An array or a column of a table becomes a list; whether these are numbers is Pydantic's to check.
    BeforeValidator(lambda given: given.tolist() if hasattr(given, "tolist") else given),
    Field(min_length=1, max_length=10_000),
]


class Neighbours(StrEnum):
    """Which two data sets a release must not tell apart."""

    ADD_OR_REMOVE_ONE = "add_or_remove_one"
    """One has a record more than the other: how many there are is private too."""
    CHANGE_ONE = "change_one"
    """They have equally many records, and one of these differs."""


class Box(BaseModel):
    """Where the records may lie: low_i <= x_i <= high_i; records outside are moved to its border."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    low: Numbers
    high: Numbers

    def __init__(self, low: Any = None, high: Any = None, **rest: Any) -> None:
        super().__init__(low=low, high=high, **rest)

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if len(self.low) != len(self.high):
            raise ValueError(f"expected as many numbers in high as in low, {len(self.low)}, got {len(self.high)}")
        if wrong := [index for index, (low, high) in enumerate(zip(self.low, self.high, strict=True)) if low >= high]:
            raise ValueError(f"expected low < high in every dimension, not so in dimension {wrong[0]}")
        return self

    @property
    def d(self) -> int:
        """Dimensions."""
        return len(self.low)


class Terms(BaseModel):
    """What may be spent on a data set, and what is public about it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    epsilon: Annotated[float, Field(ge=1e-6, le=MOST_EPSILON, allow_inf_nan=False)]
    """Budget of all releases together."""
    delta: Annotated[float, Field(ge=0, le=float(MOST_DELTA), allow_inf_nan=False)] = 0.0
    """Budget of all releases together; 0 allows pure epsilon releases only."""
    neighbours: Neighbours
    domain: Box
    max_records: Annotated[int, Field(ge=1, le=MAX_RECORDS)]
    """The most that the data set may have: public, and what the cost of a job is counted with."""

    @property
    def budget(self) -> Budget:
        """What all releases may cost together."""
        return Budget.of(self.epsilon, self.delta)


def public_info(terms: Terms) -> ArrayInfo:
    """The shape that a private data set is counted with: as many records as it may have."""
    return ArrayInfo((terms.max_records, terms.domain.d), "float64", None, terms)
