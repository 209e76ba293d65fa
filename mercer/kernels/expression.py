"""Kernel functions as specifications: what every family has, and how they are composed.

`0.7 * Matern(nu=2.5) + White(0.01)` is a tree of frozen models that travels as nested JSON; nothing here computes.
`str(kernel)` is the text that `mercer.kernels.text` reads.
"""

from __future__ import annotations

from collections.abc import Iterator
from numbers import Real
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, Self, TypeAlias

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from mercer.kernels.parameters import Dimensions, Positive, Whole

if TYPE_CHECKING:
    Kernel: TypeAlias = "KernelFunction"  # at run time the union of all families, mercer.kernels.Kernel

MAX_LEAVES = 32
"""Families in one expression; each costs a pass over the matrix, and no published composition comes near it."""

MAX_DEPTH = 32
"""Kernel functions inside each other: the parsers, the device's stack and a reader's patience all have an end."""


def _several(parts: tuple[Any, ...]) -> tuple[Any, ...]:
    if not 2 <= len(parts) <= MAX_LEAVES:
        raise ValueError(f"expected 2 to {MAX_LEAVES} kernel functions, got {len(parts)}")
    return parts


class KernelFunction(BaseModel):
    """A kernel function k(x, y): a family with its parameters, or a composition of kernel functions."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)

    formula: ClassVar[str]
    source: ClassVar[str]
    family: str

    __array_ufunc__: ClassVar[None] = None
    """NumPy leaves `array * kernel` to this class, which refuses it, instead of making an array of kernel functions."""

    def parts(self) -> tuple[tuple[str, KernelFunction], ...]:
        """The functions that it is composed of, each with its place in the JSON; none for a family."""
        return ()

    def depth(self) -> int:
        """How many functions are inside each other; 1 for a family."""
        return 1 + max((part.depth() for _, part in self.parts()), default=0)

    @property
    def positive_definite(self) -> bool:
        """Whether every Gram matrix K(x, x) of this function is positive semi-definite.

        Sums, products (Schur), positive factors and whole powers keep it.
        """
        return all(part.positive_definite for _, part in self.parts())

    def located(self, pointer: str = "") -> Iterator[tuple[str, Family]]:
        """The families in the expression, from left to right, each with its JSON pointer below `pointer`."""
        for place, part in self.parts():
            yield from part.located(f"{pointer}/{place}")

    def leaves(self) -> Iterator[Family]:
        """The families in the expression, from left to right."""
        return (leaf for _, leaf in self.located())

    def structure(self) -> str:
        """The expression without its parameters, such as sum(matern,white): equal where a launch may be shared."""
        return f"{self.family}({','.join(part.structure() for _, part in self.parts())})"

    def __add__(self, other: Kernel | float) -> Sum:
        if not isinstance(other, KernelFunction | Real):
            return NotImplemented
        return Sum(terms=(*_terms(self, Sum), *_terms(_as_kernel(other), Sum)))

    def __radd__(self, other: float) -> KernelFunction:
        if not isinstance(other, Real):
            return NotImplemented
        return _as_kernel(other) + self if other else self  # sum(kernels) begins with 0

    def __mul__(self, other: Kernel | float) -> Product | Scale:
        if isinstance(other, KernelFunction):
            return Product(factors=(*_terms(self, Product), *_terms(other, Product)))
        return Scale(factor=float(other), kernel=self) if isinstance(other, Real) else NotImplemented

    def __rmul__(self, other: float) -> Product | Scale:
        return self * other

    def __pow__(self, exponent: int) -> Power:
        return Power(kernel=self, exponent=exponent)


class Family(KernelFunction):
    """A named kernel function with its own parameters: a leaf of an expression."""

    active_dimensions: Dimensions | None = None
    """The columns of the points that it reads, from 0; all of them when absent."""

    examples: ClassVar[tuple[dict[str, Any], ...]] = ({},)
    """Parameters to show in the docs and to run in the tests."""
    per_dimension: ClassVar[tuple[str, ...]] = ()
    """The fields that may hold one number for each active dimension."""
    non_negative_inputs: ClassVar[bool] = False
    """Whether the points must be >= 0, as histograms are."""

    def depth(self) -> int:
        """Nothing is inside it."""
        return 1

    @property
    def positive_definite(self) -> bool:
        """True, unless the family says otherwise."""
        return True

    def located(self, pointer: str = "") -> Iterator[tuple[str, Family]]:
        """Itself alone."""
        yield pointer, self

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


class Composition(KernelFunction):
    """A kernel function that is made of others."""

    @model_validator(mode="after")
    def _bounded(self) -> Self:
        if (depth := self.depth()) > MAX_DEPTH:
            raise ValueError(f"expected kernel functions at most {MAX_DEPTH} deep inside each other, got {depth}")
        if (leaves := sum(1 for _ in self.leaves())) > MAX_LEAVES:
            raise ValueError(f"expected a kernel of at most {MAX_LEAVES} families, got {leaves}")
        return self


class Sum(Composition):
    """k(x, y) = sum_t k_t(x, y)."""

    formula: ClassVar[str] = "k_1(x, y) + k_2(x, y) + ..."
    source: ClassVar[str] = "Rasmussen and Williams, Gaussian Processes for Machine Learning (2006), 4.2.4"
    family: Literal["sum"] = "sum"
    terms: Annotated[tuple[Kernel, ...], Field(strict=False), AfterValidator(_several)]

    def parts(self) -> tuple[tuple[str, KernelFunction], ...]:
        """Its terms."""
        return tuple((f"terms/{index}", term) for index, term in enumerate(self.terms))

    def __str__(self) -> str:
        return " + ".join(_operand(term, Sum) for term in self.terms)


class Product(Composition):
    """k(x, y) = prod_t k_t(x, y)."""

    formula: ClassVar[str] = "k_1(x, y) * k_2(x, y) * ..."
    source: ClassVar[str] = Sum.source
    family: Literal["product"] = "product"
    factors: Annotated[tuple[Kernel, ...], Field(strict=False), AfterValidator(_several)]

    def parts(self) -> tuple[tuple[str, KernelFunction], ...]:
        """Its factors."""
        return tuple((f"factors/{index}", factor) for index, factor in enumerate(self.factors))

    def __str__(self) -> str:
        return " * ".join(_operand(factor, Sum, Product, Scale) for factor in self.factors)


class Scale(Composition):
    """k(x, y) = factor * k_1(x, y), factor > 0."""

    formula: ClassVar[str] = "factor * k_1(x, y)"
    source: ClassVar[str] = Sum.source
    family: Literal["scale"] = "scale"
    factor: Positive
    kernel: Kernel

    def parts(self) -> tuple[tuple[str, KernelFunction], ...]:
        """The function that is scaled."""
        return (("kernel", self.kernel),)

    def __str__(self) -> str:
        return f"{_number(self.factor)} * {_operand(self.kernel, Sum, Product, Scale)}"


class Power(Composition):
    """k(x, y) = k_1(x, y)^exponent, exponent a positive integer."""

    formula: ClassVar[str] = "k_1(x, y)^exponent"
    source: ClassVar[str] = Sum.source
    family: Literal["power"] = "power"
    kernel: Kernel
    exponent: Annotated[Whole, Field(ge=1, le=64)]

    def parts(self) -> tuple[tuple[str, KernelFunction], ...]:
        """The function that is raised."""
        return (("kernel", self.kernel),)

    def __str__(self) -> str:
        return f"{_operand(self.kernel, Sum, Product, Scale, Power)}**{self.exponent}"


def _terms(kernel: KernelFunction, composition: type[Sum] | type[Product]) -> tuple[Any, ...]:
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
