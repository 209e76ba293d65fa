"""A kernel expression as the device sees it: a flat program over leaves, each a base quantity and a function of it.

Both devices compute a leaf as  f(b(u_i, v_j)) * p_i * q_j  where u and v are the points prepared once on the host
(columns selected, scaled by the lengthscales), b is one of BASES and f one of FUNCTIONS with at most two parameters.
The program is in postfix order: it pushes leaves and combines what is on top of the stack.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Any

import numpy as np

Floats = np.ndarray[Any, Any]


class Base(IntEnum):
    """b(u, v): what is summed over dimensions."""

    SQUARED = 0
    """sum_c (u_c - v_c)^2"""
    ABSOLUTE = 1
    """sum_c |u_c - v_c|"""
    DOT = 2
    """sum_c u_c v_c"""
    SINE = 3
    """sum_c w_c sin^2(u_c - v_c), w = weights; |u_c|, |v_c| <= pi / 2"""
    CHI2 = 4
    """sum_c (u_c - v_c)^2 / (u_c + v_c), 0/0 = 0"""
    IDENTITY = 5
    """1 where u_i and v_j are the same point of one set (i = j and y absent), else 0"""
    NONE = 6
    """0: the function is constant"""


class Function(IntEnum):
    """f(b) with parameters a and c."""

    AFFINE = 0
    """a b + c"""
    EXP = 1
    """exp(-a b)"""
    EXP_ROOT = 2
    """exp(-r), r = sqrt(a b)"""
    MATERN32 = 3
    """(1 + r) exp(-r), r = sqrt(a b)"""
    MATERN52 = 4
    """(1 + r + r^2 / 3) exp(-r), r = sqrt(a b)"""
    MATERN_TABLE = 5
    """Matern of any other nu as a function of r = sqrt(a b), from the leaf's table"""
    RATIONAL_QUADRATIC = 6
    """(1 + b / (2 a))^(-a)"""
    POLYNOMIAL = 7
    """(b + c)^a, a a positive integer"""
    TANH = 8
    """tanh(b + c)"""
    ARC_COSINE_0 = 9
    """J_0(theta) / pi where b = ||u - v||^2 of unit vectors, theta = 2 arcsin(sqrt(b) / 2)

    For order 0 that has but half of the digits near theta = pi, where pi - theta = 2 arcsin(||u + v|| / 2) is exact.
    """
    ARC_COSINE_1 = 10
    ARC_COSINE_2 = 11


class Op(IntEnum):
    """An instruction of the program."""

    LEAF = 0
    """push leaf number `index`"""
    ADD = 1
    """replace the top two by their sum"""
    MULTIPLY = 2
    """replace the top two by their product"""
    SCALE = 3
    """multiply the top by `value`"""
    POWER = 4
    """raise the top to the integer power `index`"""


@dataclass(slots=True)
class Leaf:
    """One family of the expression, with its points prepared.

    Nobody changes it; it is not frozen because that would make it take five times as long to make, and a batch makes
    thousands.
    """

    base: Base
    function: Function
    u: Floats
    """Prepared x, (n, k), C-contiguous, of the job's dtype (float64 where preparing in float32 would lose digits)."""
    v: Floats
    """Prepared y, (m, k); the same object as u when y is absent."""
    a: float = 1.0
    c: float = 0.0
    weights: Floats | None = None
    """(k,), for Base.SINE."""
    p: Floats | None = None
    """(n,) factors of the rows, or None for ones."""
    q: Floats | None = None
    """(m,) factors of the columns."""
    table: Floats | None = None
    """For Function.MATERN_TABLE: see gpu/matern.py."""


@dataclass(frozen=True)
class Instruction:
    """One step of the program."""

    op: Op
    index: int = 0
    value: float = 1.0


@dataclass(slots=True)
class Program:
    """A kernel expression on given points; not changed either."""

    leaves: tuple[Leaf, ...]
    code: tuple[Instruction, ...]
    symmetric: bool
    """y is absent: the matrix is K(x, x)."""
