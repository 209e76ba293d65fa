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
    matrix = _function(leaf, _base(leaf, u, v, symmetric))
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


def _function(leaf, b):
    a, c = leaf.a, leaf.c
    if leaf.function in {Function.ARC_COSINE_0, Function.ARC_COSINE_1, Function.ARC_COSINE_2}:
        theta = 2 * np.arcsin(np.minimum(np.sqrt(b) / 2, 1))
        rest, sine, cosine = np.pi - theta, np.sin(theta), np.cos(theta)
        by_order = (rest, sine + rest * cosine, 3 * sine * cosine + rest * (1 + 2 * cosine**2))
        return by_order[leaf.function - Function.ARC_COSINE_0] / np.pi
    match leaf.function:
        case Function.AFFINE:
            return a * b + c
        case Function.POLYNOMIAL:
            return (b + c) ** int(a)
        case Function.TANH:
            return np.tanh(b + c)
        case Function.EXP:
            return np.exp(-a * b)
        case Function.RATIONAL_QUADRATIC:
            return (1 + b / (2 * a)) ** -a
    r = np.sqrt(a * b)
    match leaf.function:
        case Function.EXP_ROOT:
            return np.exp(-r)
        case Function.MATERN32:
            return (1 + r) * np.exp(-r)
        case Function.MATERN52:
            return (1 + r + r**2 / 3) * np.exp(-r)
        case Function.MATERN_TABLE:  # of nu = 0.7, see LEAVES
            return np.where(r == 0, 1.0, np.exp(matern.log_matern(0.7, np.where(r == 0, 1.0, r))))
