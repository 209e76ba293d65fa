"""Kernel functions as specifications: what every family has, and how they are composed.

`0.7 * Matern(nu=2.5) + White(0.01)` is a tree of frozen models that travels as nested JSON; nothing here computes.
`str(kernel)` is the text that `mercer.kernels.text` reads.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, TypeAlias

import numpy as np
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    PlainValidator,
    WithJsonSchema,
)

if TYPE_CHECKING:
    Kernel: TypeAlias = "KernelFunction"  # at run time the union of all families, mercer.kernels.Kernel

MAX_LEAVES = 32
"""Families in one expression; each costs a pass over the matrix, and no published composition comes near it."""

Positive = Annotated[float, Field(gt=0)]
NonNegative = Annotated[float, Field(ge=0)]


def _per_dimension(value: object) -> float | tuple[float, ...]:
    """One positive number, or one for each active dimension."""
    values = value.tolist() if isinstance(value, np.ndarray) else value
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
    tuple[Annotated[int, Field(ge=0)], ...],
    Field(min_length=1),
    BeforeValidator(lambda value: tuple(value) if isinstance(value, list) else value),
]


def _several(parts: tuple[Any, ...]) -> tuple[Any, ...]:
    if not 2 <= len(parts) <= MAX_LEAVES:
        raise ValueError(f"expected 2 to {MAX_LEAVES} kernel functions, got {len(parts)}")
    return parts


class KernelFunction(BaseModel):
    """A kernel function k(x, y): a family with its parameters, or a composition of kernel functions."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)

    formula: ClassVar[str]
    source: ClassVar[str]

    @property
    def positive_definite(self) -> bool:
        """Whether every Gram matrix K(x, x) of this function is positive semi-definite."""
        return True

    def leaves(self) -> Iterator[Family]:
        """The families in the expression, from left to right."""
        raise TypeError(f"{type(self).__name__} is neither a family nor a composition")

    def structure(self) -> str:
        """The expression without its parameters: equal for functions that may share a launch."""
        raise TypeError(f"{type(self).__name__} is neither a family nor a composition")

    def __add__(self, other: Kernel | float) -> Sum:
        return Sum(terms=(*_parts(self, Sum), *_parts(_as_kernel(other), Sum)))

    def __radd__(self, other: float) -> Sum:
        return _as_kernel(other) + self

    def __mul__(self, other: Kernel | float) -> Product | Scale:
        if isinstance(other, KernelFunction):
            return Product(factors=(*_parts(self, Product), *_parts(other, Product)))
        return Scale(factor=float(other), kernel=self)

    def __rmul__(self, other: float) -> Product | Scale:
        return self * other

    def __pow__(self, exponent: int) -> Power:
        return Power(kernel=self, exponent=exponent)


class Family(KernelFunction):
    """A named kernel function with its own parameters: a leaf of an expression."""

    family: str
    active_dimensions: Dimensions | None = None
    """The columns of the points that it reads, from 0; all of them when absent."""

    examples: ClassVar[tuple[dict[str, Any], ...]] = ({},)
    """Parameters to show in the docs and to run in the tests."""
    per_dimension: ClassVar[tuple[str, ...]] = ()
    """The fields that may hold one number for each active dimension."""
    non_negative_inputs: ClassVar[bool] = False
    """Whether the points must be >= 0, as histograms are."""

    def leaves(self) -> Iterator[Family]:
        """Itself alone."""
        yield self

    def structure(self) -> str:
        """Its family."""
        return self.family

    def __str__(self) -> str:
        names = sorted(type(self).model_fields, key="active_dimensions".__eq__)  # which every family has, comes last
        values = {name: getattr(self, name) for name in names if name != "family"}
        return f"{self.family}({', '.join(f'{n}={_number(v)}' for n, v in values.items() if v is not None)})"

    def n_active(self, d: int) -> int:
        """How many of d columns it reads."""
        return d if self.active_dimensions is None else len(self.active_dimensions)


class Sum(KernelFunction):
    """k(x, y) = sum_t k_t(x, y)."""

    formula: ClassVar[str] = "k_1(x, y) + k_2(x, y) + ..."
    source: ClassVar[str] = "Rasmussen and Williams, Gaussian Processes for Machine Learning (2006), 4.2.4"
    family: Literal["sum"] = "sum"
    terms: Annotated[tuple[Kernel, ...], Field(strict=False), AfterValidator(_several)]

    @property
    def positive_definite(self) -> bool:
        """Sums keep positive definiteness."""
        return all(term.positive_definite for term in self.terms)

    def leaves(self) -> Iterator[Family]:
        """The leaves of every term."""
        for term in self.terms:
            yield from term.leaves()

    def structure(self) -> str:
        """For example sum(matern,white)."""
        return f"sum({','.join(term.structure() for term in self.terms)})"

    def __str__(self) -> str:
        return " + ".join(_operand(term, Sum) for term in self.terms)


class Product(KernelFunction):
    """k(x, y) = prod_t k_t(x, y)."""

    formula: ClassVar[str] = "k_1(x, y) * k_2(x, y) * ..."
    source: ClassVar[str] = Sum.source
    family: Literal["product"] = "product"
    factors: Annotated[tuple[Kernel, ...], Field(strict=False), AfterValidator(_several)]

    @property
    def positive_definite(self) -> bool:
        """Products keep positive definiteness (Schur)."""
        return all(factor.positive_definite for factor in self.factors)

    def leaves(self) -> Iterator[Family]:
        """The leaves of every factor."""
        for factor in self.factors:
            yield from factor.leaves()

    def structure(self) -> str:
        """For example product(linear,periodic)."""
        return f"product({','.join(factor.structure() for factor in self.factors)})"

    def __str__(self) -> str:
        return " * ".join(_operand(factor, Sum, Product, Scale) for factor in self.factors)


class Scale(KernelFunction):
    """k(x, y) = factor * k_1(x, y), factor > 0."""

    formula: ClassVar[str] = "factor * k_1(x, y)"
    source: ClassVar[str] = Sum.source
    family: Literal["scale"] = "scale"
    factor: Positive
    kernel: Kernel

    @property
    def positive_definite(self) -> bool:
        """A positive factor keeps positive definiteness."""
        return self.kernel.positive_definite

    def leaves(self) -> Iterator[Family]:
        """The leaves of the scaled function."""
        return self.kernel.leaves()

    def structure(self) -> str:
        """For example scale(gaussian)."""
        return f"scale({self.kernel.structure()})"

    def __str__(self) -> str:
        return f"{_number(self.factor)} * {_operand(self.kernel, Sum, Product, Scale)}"


class Power(KernelFunction):
    """k(x, y) = k_1(x, y)^exponent, exponent a positive integer."""

    formula: ClassVar[str] = "k_1(x, y)^exponent"
    source: ClassVar[str] = Sum.source
    family: Literal["power"] = "power"
    kernel: Kernel
    exponent: Annotated[int, Field(ge=1, le=64)]

    @property
    def positive_definite(self) -> bool:
        """Integer powers keep positive definiteness, as products do."""
        return self.kernel.positive_definite

    def leaves(self) -> Iterator[Family]:
        """The leaves of the function that is raised."""
        return self.kernel.leaves()

    def structure(self) -> str:
        """For example power(linear)."""
        return f"power({self.kernel.structure()})"

    def __str__(self) -> str:
        return f"{_operand(self.kernel, Sum, Product, Scale, Power)}**{self.exponent}"


def _parts(kernel: KernelFunction, composition: type[Sum] | type[Product]) -> tuple[Any, ...]:
    """The terms of a sum (factors of a product), so that a + b + c is one sum of three."""
    if isinstance(kernel, composition):
        return kernel.terms if isinstance(kernel, Sum) else kernel.factors
    return (kernel,)


def _operand(kernel: KernelFunction, *grouped: type[KernelFunction]) -> str:
    """The text of a part, in parentheses when it is one of `grouped`."""
    return f"({kernel})" if isinstance(kernel, grouped) else str(kernel)


def _number(value: float | tuple[float, ...]) -> str:
    """The shortest text that reads back as the same number, or list of numbers."""
    if isinstance(value, tuple):
        return f"[{', '.join(_number(one) for one in value)}]"
    return repr(value).removesuffix(".0")


def _as_kernel(value: KernelFunction | float) -> KernelFunction:
    """A kernel function as it is; a number as the constant kernel function."""
    if isinstance(value, KernelFunction):
        return value
    from mercer.kernels.constant import Constant  # the constant is itself a KernelFunction

    return Constant(value)
