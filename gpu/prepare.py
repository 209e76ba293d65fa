"""Kernel expressions on points, made into the programs that both devices compute."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from gpu import families
from gpu.families import Prepared
from gpu.leaves import Base, Floats, Function, Instruction, Leaf, Op, Program
from gpu.points import Stack
from mercer.errors import InvalidSpec
from mercer.kernels import Family, KernelFunction, Polynomial, Power, Product, Scale, Sum

MAX_SINGLE_DEGREE = 8
"""A product of more factors multiplies float32's rounding errors beyond what is promised: it is made in float64."""

SINGLE, DOUBLE = np.dtype(np.float32), np.dtype(np.float64)
ONE_LEAF = (Instruction(Op.LEAF),)


class Request(NamedTuple):
    """k(x_i, y_j): points (n, d) and (m, d) of any real dtype; y absent for K(x, x)."""

    kernel: KernelFunction
    x: Floats
    y: Floats | None


def program(kernel: KernelFunction, x: Floats, y: Floats | None, dtype: np.dtype[Any]) -> Program:
    """The program of one matrix, for a result of this dtype; in float64 where float32 would lose digits.

    Raises:
        InvalidSpec: the points are too many lengthscales apart for float64.
    """
    return programs([Request(kernel, x, y)], dtype)[0]


def programs(requests: Sequence[Request], dtype: np.dtype[Any]) -> list[Program]:
    """The programs of many matrices; alike ones are prepared together, with the same result as one by one.

    Raises:
        InvalidSpec: the points are too many lengthscales apart for float64.
    """
    alike: dict[tuple[Any, ...], list[int]] = defaultdict(list)
    leaves = [tuple(request.kernel.leaves()) for request in requests]
    for index, (kernel, x, y) in enumerate(requests):
        precision = DOUBLE if dtype == DOUBLE or degree(kernel) > MAX_SINGLE_DEGREE else SINGLE
        forms = tuple((leaf.family, leaf.active_dimensions) for leaf in leaves[index])
        alike[precision, x.shape[1], y is None, forms].append(index)
    out: list[Any] = [None] * len(requests)
    for (precision, *_), indices in alike.items():
        made = _together([requests[i] for i in indices], [leaves[i] for i in indices], precision)
        for index, one in zip(indices, made, strict=True):
            out[index] = one
    return out


def normalised(program: Program, rows: Floats, columns: Floats) -> Program:
    """The program of K[i, j] / sqrt(rows_i columns_j); 0 where a k(x, x) is not positive.

    Args:
        program: Of K.
        rows: k(x_i, x_i), shape (n,).
        columns: k(y_j, y_j), shape (m,).
    """
    dtype = program.leaves[0].u.dtype
    p = _inverse_root(rows).astype(dtype)
    q = p if rows is columns else _inverse_root(columns).astype(dtype)
    u = np.empty((len(p), 0), dtype)
    v = u if program.symmetric else np.empty((len(q), 0), dtype)
    factors = Leaf(Base.NONE, Function.AFFINE, u, v, a=0.0, c=1.0, p=p, q=q)
    code = (*program.code, Instruction(Op.LEAF, len(program.leaves)), Instruction(Op.MULTIPLY))
    return replace(program, leaves=(*program.leaves, factors), code=code)


def degree(kernel: KernelFunction) -> int:
    """How many values of families, or of x . y, are multiplied."""
    match kernel:
        case Sum():
            return max(degree(term) for term in kernel.terms)
        case Product():
            return sum(degree(factor) for factor in kernel.factors)
        case Scale():
            return degree(kernel.kernel)
        case Power():
            return kernel.exponent * degree(kernel.kernel)
        case Polynomial():
            return kernel.degree
        case _:
            return 1


def _together(requests: Sequence[Request], leaves: Sequence[tuple[Family, ...]], dtype: np.dtype[Any]) -> list[Program]:
    """Of requests that have the same families and widths."""
    x = Stack.of([request.x for request in requests])
    ys = [request.y for request in requests if request.y is not None]
    y = Stack.of(ys) if ys else None
    prepared = [families.prepare(leaf, x, y, dtype) for leaf in zip(*leaves, strict=True)]
    lossy = np.zeros(len(requests), dtype=bool)
    for leaf in prepared:
        lossy |= leaf.lossy
    if dtype == DOUBLE and lossy.any():
        raise InvalidSpec("The points are too many lengthscales apart: expected at most 1e150.")
    by_leaf = [_leaves(leaf, x, y) for leaf in prepared]
    programs = [
        Program(own, _code(request.kernel), request.y is None)
        for request, own in zip(requests, zip(*by_leaf, strict=True), strict=True)
    ]
    again = np.flatnonzero(lossy).tolist()
    if again:
        doubles = _together([requests[i] for i in again], [leaves[i] for i in again], DOUBLE)
        for index, double in zip(again, doubles, strict=True):
            programs[index] = double
    return programs


def _leaves(prepared: Prepared, x: Stack, y: Stack | None) -> Iterator[Leaf]:
    """The leaf of each job."""
    columns = y or x
    us = x.split(prepared.u)
    vs = us if prepared.v is prepared.u else columns.split(prepared.v)
    nothing = [None] * len(us)
    ps = nothing if prepared.p is None else x.split(prepared.p)
    qs = nothing if prepared.q is None else columns.split(prepared.q)
    weights, tables = prepared.weights or nothing, prepared.tables or nothing
    a, c = np.asarray(prepared.a).tolist(), np.asarray(prepared.c).tolist()
    base = prepared.base
    for index, function in enumerate(prepared.functions):
        yield Leaf(
            base,
            function,
            us[index],
            vs[index],
            a[index],
            c[index],
            weights[index],
            ps[index],
            qs[index],
            tables[index],
        )


def _code(kernel: KernelFunction) -> tuple[Instruction, ...]:
    """The expression in postfix order; its leaves are numbered from left to right."""
    return ONE_LEAF if isinstance(kernel, Family) else tuple(_postfix(kernel, iter(range(10**9))))


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
