"""Programs to compute in the tests, and what they are in plain NumPy float64."""

from dataclasses import replace
from functools import reduce

import numpy as np

from gpu import matern
from gpu.leaves import Base, Function, Instruction, Leaf, Op, Program

LEAVES = {
    (Base.SQUARED, Function.EXP): {"a": 0.3},
    (Base.SQUARED, Function.EXP_ROOT): {"a": 0.7},
    (Base.SQUARED, Function.MATERN32): {"a": 1.2},
    (Base.SQUARED, Function.MATERN52): {"a": 2.0},
    (Base.SQUARED, Function.MATERN_TABLE): {"a": 1.4, "table": matern.table(0.7)},
    (Base.SQUARED, Function.RATIONAL_QUADRATIC): {"a": 1.3},
    (Base.SQUARED, Function.ARC_COSINE_0): {},
    (Base.SQUARED, Function.ARC_COSINE_1): {},
    (Base.SQUARED, Function.ARC_COSINE_2): {},
    (Base.ABSOLUTE, Function.EXP): {"a": 0.2},
    (Base.DOT, Function.AFFINE): {"a": 0.5, "c": 0.25},
    (Base.DOT, Function.POLYNOMIAL): {"a": 3.0, "c": 1.5},
    (Base.DOT, Function.TANH): {"c": 0.2},
    (Base.SINE, Function.EXP): {},
    (Base.CHI2, Function.EXP): {"a": 0.6},
    (Base.CHI2, Function.AFFINE): {"a": -1.0},
    (Base.IDENTITY, Function.AFFINE): {"a": 0.01},
    (Base.NONE, Function.AFFINE): {"a": 0.0, "c": 2.0},
}
"""Every base and function that gpu/prepare.py makes, with parameters."""


def leaf(base, function, n, m=None, d=3, dtype=np.float64, factors=False, seed=0):
    """A leaf of random points; m is None for K(x, x)."""
    random = np.random.default_rng([seed, n, d])
    u = _points(random, n, d, base, function).astype(dtype)
    v = u if m is None else _points(random, m, d, base, function).astype(dtype)
    made = Leaf(base, function, u, v, **LEAVES[base, function])
    if base is Base.SINE:
        made = replace(made, weights=random.uniform(0.1, 0.5, d).astype(dtype))
    if factors:
        p = random.uniform(0.5, 2, n).astype(dtype)
        made = replace(made, p=p, q=p if m is None else random.uniform(0.5, 2, m).astype(dtype))
    return made


def _points(random, n, d, base, function):
    if function in {Function.ARC_COSINE_0, Function.ARC_COSINE_1, Function.ARC_COSINE_2}:
        points = random.normal(size=(n, d + 1))
        return points / np.linalg.norm(points, axis=1, keepdims=True)
    if base is Base.CHI2:
        return random.uniform(0, 1, (n, d)) * random.integers(0, 2, (n, d))
    return random.normal(size=(n, d)) / np.sqrt(d)


def single(*arguments, **options):
    """The program of one leaf."""
    return program([leaf(*arguments, **options)])


def program(leaves, code="0"):
    """A program in postfix: numbers are leaves, + and * combine, s scales by 0.7, ^ cubes."""
    steps = {
        "+": Instruction(Op.ADD),
        "*": Instruction(Op.MULTIPLY),
        "s": Instruction(Op.SCALE, value=0.7),
        "^": Instruction(Op.POWER, index=3),
    }
    instructions = tuple(steps.get(word) or Instruction(Op.LEAF, int(word)) for word in code.split())
    return Program(tuple(leaves), instructions, leaves[0].v is leaves[0].u)


def expected(program):
    """The matrix, by the formulas of gpu/leaves.py."""
    stack = []
    for step in program.code:
        match step.op:
            case Op.LEAF:
                stack.append(_leaf(program.leaves[step.index], program.symmetric))
            case Op.ADD:
                stack.append(stack.pop() + stack.pop())
            case Op.MULTIPLY:
                stack.append(stack.pop() * stack.pop())
            case Op.SCALE:
                stack.append(stack.pop() * step.value)
            case Op.POWER:
                stack.append(reduce(np.multiply, [stack.pop()] * step.index))
    (matrix,) = stack
    return matrix


def _leaf(leaf, symmetric):
    u, v = leaf.u.astype(np.float64)[:, None, :], leaf.v.astype(np.float64)[None, :, :]
    matrix = FORMULAS[leaf.function](_base(leaf, u, v, symmetric), leaf.a, leaf.c)
    p, q = (1.0 if factors is None else factors.astype(np.float64) for factors in (leaf.p, leaf.q))
    return matrix * np.multiply.outer(p, q)


def _base(leaf, u, v, symmetric):
    match leaf.base:
        case Base.SQUARED:
            return ((u - v) ** 2).sum(-1)
        case Base.ABSOLUTE:
            return np.abs(u - v).sum(-1)
        case Base.DOT:
            return (u * v).sum(-1)
        case Base.SINE:
            return (leaf.weights.astype(np.float64) * np.sin(u - v) ** 2).sum(-1)
        case Base.CHI2:
            total = u + v
            return np.divide((u - v) ** 2, total, out=np.zeros_like(total), where=total > 0).sum(-1)
        case Base.IDENTITY:
            return np.eye(len(leaf.u)) if symmetric else np.zeros((len(leaf.u), len(leaf.v)))
        case Base.NONE:
            return np.zeros((len(leaf.u), len(leaf.v)))


def _arc_cosine(order, b):
    theta = 2 * np.arcsin(np.minimum(np.sqrt(b) / 2, 1))
    rest, sine, cosine = np.pi - theta, np.sin(theta), np.cos(theta)
    return (rest, sine + rest * cosine, 3 * sine * cosine + rest * (1 + 2 * cosine**2))[order] / np.pi


def _matern07(r):
    return np.where(r == 0, 1.0, np.exp(matern.log_matern(0.7, np.where(r == 0, 1.0, r))))


FORMULAS = {
    Function.AFFINE: lambda b, a, c: a * b + c,
    Function.EXP: lambda b, a, c: np.exp(-a * b),
    Function.EXP_ROOT: lambda b, a, c: np.exp(-np.sqrt(a * b)),
    Function.MATERN32: lambda b, a, c: (1 + np.sqrt(a * b)) * np.exp(-np.sqrt(a * b)),
    Function.MATERN52: lambda b, a, c: (1 + np.sqrt(a * b) + a * b / 3) * np.exp(-np.sqrt(a * b)),
    Function.MATERN_TABLE: lambda b, a, c: _matern07(np.sqrt(a * b)),
    Function.RATIONAL_QUADRATIC: lambda b, a, c: (1 + b / (2 * a)) ** -a,
    Function.POLYNOMIAL: lambda b, a, c: (b + c) ** int(a),
    Function.TANH: lambda b, a, c: np.tanh(b + c),
    Function.ARC_COSINE_0: lambda b, a, c: _arc_cosine(0, b),
    Function.ARC_COSINE_1: lambda b, a, c: _arc_cosine(1, b),
    Function.ARC_COSINE_2: lambda b, a, c: _arc_cosine(2, b),
}
