"""Kernel expressions on points, made into what the devices compute: batches of like programs, or single programs."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from gpu import families
from gpu.families import Prepared
from gpu.leaves import Base, Floats, Function, Instruction, Leaf, Op, Program
from gpu.points import Stack
from mercer.errors import InvalidSpec
from mercer.kernels import Family, KernelFunction, Polynomial, Power, Product, Scale, Sum

MAX_SINGLE_DEGREE = 8
"""A product of more factors multiplies float32's rounding errors beyond what is promised: it is made in float64."""

TOGETHER = 512
"""Requests that are prepared together: enough to hide the cost of a call, few enough to stay in the cache."""

SINGLE, DOUBLE = np.dtype(np.float32), np.dtype(np.float64)
ONE_LEAF = (Instruction(Op.LEAF),)


Request = tuple[KernelFunction, Floats, Floats | None]
"""k, x, y for k(x_i, y_j): points (n, d) and (m, d) of any real dtype; y None for K(x, x)."""


@dataclass(frozen=True)
class Batch:
    """Programs of one structure and precision, their points one after another."""

    indices: list[int]
    """Which of the requests they are."""
    x: Stack
    """Without values."""
    y: Stack | None
    leaves: tuple[Prepared, ...]
    codes: Sequence[tuple[Instruction, ...]]
    """One for each program, equal but for their numbers."""

    @property
    def dtype(self) -> np.dtype[Any]:
        """Of the arithmetic."""
        return self.leaves[0].u.dtype

    @property
    def columns(self) -> Stack:
        """y, or x where y is absent."""
        return self.y or self.x

    def normalised(self, rows: Floats, columns: Floats) -> Batch:
        """K[i, j] / sqrt(rows_i columns_j); 0 where a k(x, x) is not positive.

        Args:
            rows: k(x_i, x_i) of all programs, one after another.
            columns: k(y_j, y_j); the same object as rows where y is absent.
        """
        p = _inverse_root(rows).astype(self.dtype)
        q = p if columns is rows else _inverse_root(columns).astype(self.dtype)
        u = np.empty((len(p), 0), self.dtype)
        v = u if self.y is None else np.empty((len(q), 0), self.dtype)
        n = len(self.indices)
        factor = Prepared(Base.NONE, [Function.AFFINE] * n, u, v, np.zeros(n), np.ones(n), p=p, q=q)
        last = (Instruction(Op.LEAF, len(self.leaves)), Instruction(Op.MULTIPLY))
        return replace(self, leaves=(*self.leaves, factor), codes=[(*code, *last) for code in self.codes])

    def programs(self) -> list[Program]:
        """Each by itself; their points are views."""
        by_leaf = [_leaves(leaf, self.x, self.columns) for leaf in self.leaves]
        return [
            Program(leaves, code, self.y is None)
            for leaves, code in zip(zip(*by_leaf, strict=True), self.codes, strict=True)
        ]


def program(kernel: KernelFunction, x: Floats, y: Floats | None, dtype: np.dtype[Any]) -> Program:
    """The program of one matrix, for a result of this dtype; in float64 where float32 would lose digits.

    Raises:
        InvalidSpec: the points, or their distances in lengthscales, are too large for float64.
    """
    (batch,) = batches([(kernel, x, y)], dtype)
    return batch.programs()[0]


def batches(requests: Sequence[Request], dtype: np.dtype[Any]) -> Iterator[Batch]:
    """Like requests together, prepared for results of this dtype; each is prepared as it would be by itself.

    Raises:
        InvalidSpec: the points, or their distances in lengthscales, are too large for float64.
    """
    alike: dict[tuple[object, ...], list[int]] = defaultdict(list)
    for index, (kernel, x, y) in enumerate(requests):
        alike[x.shape[1], y is None, _form(kernel)].append(index)
    for indices in alike.values():
        for start in range(0, len(indices), TOGETHER):
            yield from _together(requests, indices[start : start + TOGETHER], dtype)


def degree(kernel: KernelFunction) -> int:
    """How many values of families, or of x . y, are multiplied."""
    match kernel:
        case Polynomial():
            return kernel.degree
        case Family():
            return 1
        case Sum():
            return max(degree(term) for term in kernel.terms)
        case Product():
            return sum(degree(factor) for factor in kernel.factors)
        case Power():
            return kernel.exponent * degree(kernel.kernel)
        case Scale():
            return degree(kernel.kernel)
    raise TypeError(f"no degree of {type(kernel).__name__}")


def _is_family(kernel: KernelFunction) -> bool:
    """By its name: isinstance takes ten times as long for pydantic's classes."""
    return kernel.family in families.PREPARE


def _form(kernel: Any) -> tuple[object, ...]:
    """Equal for kernels that differ in numbers alone."""
    if _is_family(kernel):
        return (kernel.family, kernel.active_dimensions)
    return (kernel.structure(), *(leaf.active_dimensions for leaf in kernel.leaves()))


def _together(requests: Sequence[Request], indices: list[int], dtype: np.dtype[Any]) -> Iterator[Batch]:
    """Batches of requests of one form: usually one, but two where some of them need float64."""
    kernels, xs, ys = zip(*[requests[index] for index in indices], strict=True)
    x, y = Stack.of(xs, dtype), None if ys[0] is None else Stack.of(ys, dtype)
    single = _is_family(kernels[0])
    leaves: Any = [kernels] if single else zip(*(kernel.leaves() for kernel in kernels), strict=True)
    prepared = tuple(families.prepare(leaf, x, y, dtype) for leaf in leaves)
    lossy = np.zeros(len(kernels), dtype=bool)
    if dtype == SINGLE and (not single or kernels[0].family == "polynomial"):
        lossy |= [degree(kernel) > MAX_SINGLE_DEGREE for kernel in kernels]
    for leaf in prepared:
        lossy |= leaf.lossy
    if not lossy.any():
        codes = [ONE_LEAF] * len(kernels) if single else [_code(kernel) for kernel in kernels]
        yield Batch(indices, x.without_values(), y and y.without_values(), prepared, codes)
        return
    if dtype == DOUBLE:
        raise InvalidSpec("The points, or their distances in lengthscales, are too large: expected at most 1e150.")
    kept = [index for index, lost in zip(indices, lossy.tolist(), strict=True) if not lost]
    if kept:
        yield from _together(requests, kept, dtype)
    yield from _together(requests, [index for index in indices if index not in set(kept)], DOUBLE)


def _leaves(prepared: Prepared, x: Stack, y: Stack) -> Iterator[Leaf]:
    """The leaf of each program."""
    us = x.split(prepared.u)
    vs = us if prepared.v is prepared.u else y.split(prepared.v)
    nothing = [None] * len(us)
    ps = nothing if prepared.p is None else x.split(prepared.p)
    qs = nothing if prepared.q is None else y.split(prepared.q)
    weights, tables = prepared.weights or nothing, prepared.tables or nothing
    a, c = np.asarray(prepared.a).tolist(), np.asarray(prepared.c).tolist()
    parts = zip(prepared.functions, us, vs, a, c, weights, ps, qs, tables, strict=True)
    return (Leaf(prepared.base, *part) for part in parts)


def _code(kernel: KernelFunction) -> tuple[Instruction, ...]:
    """The expression in postfix order; its leaves are numbered from left to right."""
    return tuple(_postfix(kernel, iter(range(10**9))))


def _postfix(kernel: KernelFunction, numbers: Iterator[int]) -> Iterator[Instruction]:
    match kernel:
        case Sum() | Product():
            op = Op.ADD if isinstance(kernel, Sum) else Op.MULTIPLY
            parts = kernel.terms if isinstance(kernel, Sum) else kernel.factors
            for index, part in enumerate(parts):
                yield from _postfix(part, numbers)
                if index:
                    yield Instruction(op)
        case Scale():
            yield from _postfix(kernel.kernel, numbers)
            yield Instruction(Op.SCALE, value=kernel.factor)
        case Power():
            yield from _postfix(kernel.kernel, numbers)
            yield Instruction(Op.POWER, kernel.exponent)
        case _:
            yield Instruction(Op.LEAF, next(numbers))


def _inverse_root(values: Floats) -> Floats:
    positive = values > 0
    return np.where(positive, 1 / np.sqrt(np.where(positive, values.astype(np.float64), 1.0)), 0.0)
