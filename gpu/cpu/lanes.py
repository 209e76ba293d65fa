"""One dimension's share of each base quantity, in LLVM's vector instructions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from llvmlite import ir
from numba.core import types

from gpu.leaves import Base

VECTOR_BYTES = 32
"""AVX2's; narrower machines take two instructions for one."""
LANES = {types.float32: VECTOR_BYTES // 4, types.float64: VECTOR_BYTES // 8}

SINE = {
    types.float32: (2.6347445557912756e-06, -0.00019822735835019672, 0.00833324210801853, -0.1666666596354223),
    types.float64: (
        *(-8.006048703469621e-18, 2.810468581681568e-15, -7.647139114646649e-13, 1.605904347927675e-10),
        *(-2.5052108382389887e-08, 2.7557319223971256e-06, -0.00019841269841269806, 0.008333333333333333),
        -0.16666666666666666,
    ),
}
"""(sin t - t) / t^3 in powers of t^2, from the highest, for |t| <= pi / 2."""
PI_PARTS = {
    types.float32: (3.1415927410125732, -8.742278000372485e-08),
    types.float64: (3.141592653589793, 1.2246467991473515e-16),
}

Value = Any
Step = Callable[["Lanes", Value, Value, Value, Value], Value]


class Lanes:
    """Arithmetic on vectors of one type."""

    def __init__(self, builder: Any, kind: Any, context: Any) -> None:
        self.builder = builder
        self.kind = kind
        self.lanes = LANES[kind]
        self.type = ir.VectorType(context.get_value_type(kind), self.lanes)
        self.name = f"v{self.lanes}f{kind.bitwidth}"

    def constant(self, value: float) -> Value:
        """The same number in all lanes."""
        return self.type([value] * self.lanes)

    def call(self, name: str, *values: Value) -> Value:
        """An LLVM intrinsic on vectors."""
        full = f"llvm.{name}.{self.name}"
        signature = ir.FunctionType(self.type, [self.type] * len(values))
        function = self.builder.module.globals.get(full) or ir.Function(self.builder.module, signature, full)
        return self.builder.call(function, values)

    def load(self, pointer: Value) -> Value:
        """A vector from anywhere."""
        vector = self.builder.bitcast(pointer, self.type.as_pointer())
        return self.builder.load(vector, align=self.kind.bitwidth // 8)

    def store(self, value: Value, pointer: Value) -> None:
        """A vector to anywhere."""
        vector = self.builder.bitcast(pointer, self.type.as_pointer())
        self.builder.store(value, vector, align=self.kind.bitwidth // 8)

    def spread(self, pointer: Value) -> Value:
        """One number into all lanes."""
        undefined, zero = ir.Constant(self.type, ir.Undefined), ir.IntType(32)(0)
        one = self.builder.insert_element(undefined, self.builder.load(pointer), zero)
        mask = ir.Constant(ir.VectorType(ir.IntType(32), self.lanes), [zero] * self.lanes)
        return self.builder.shuffle_vector(one, undefined, mask)


def _squared(lanes: Lanes, total: Value, u: Value, v: Value, w: Value) -> Value:
    t = lanes.builder.fsub(u, v)
    return lanes.call("fma", t, t, total)


def _absolute(lanes: Lanes, total: Value, u: Value, v: Value, w: Value) -> Value:
    return lanes.builder.fadd(total, lanes.call("fabs", lanes.builder.fsub(u, v)))


def _dot(lanes: Lanes, total: Value, u: Value, v: Value, w: Value) -> Value:
    return lanes.call("fma", u, v, total)


def _sine(lanes: Lanes, total: Value, u: Value, v: Value, w: Value) -> Value:
    """Add w sin^2(u - v), |u - v| <= pi: folded at pi / 2."""
    builder = lanes.builder
    high, low = PI_PARTS[lanes.kind]
    t = lanes.call("fabs", builder.fsub(u, v))
    folded = builder.fadd(builder.fsub(lanes.constant(high), t), lanes.constant(low))
    t = builder.select(builder.fcmp_ordered(">", t, lanes.constant(high / 2)), folded, t)
    z = builder.fmul(t, t)
    first, *rest = SINE[lanes.kind]
    p = lanes.constant(first)
    for coefficient in rest:
        p = lanes.call("fma", p, z, lanes.constant(coefficient))
    sine = lanes.call("fma", builder.fmul(z, t), p, t)
    return lanes.call("fma", builder.fmul(sine, sine), w, total)


def _chi2(lanes: Lanes, total: Value, u: Value, v: Value, w: Value) -> Value:
    """(u - v)^2 / (u + v), and 0 where both are 0."""
    builder = lanes.builder
    t, s = builder.fsub(u, v), builder.fadd(u, v)
    s = builder.select(builder.fcmp_ordered(">", s, lanes.constant(0.0)), s, lanes.constant(1.0))
    return builder.fadd(total, builder.fdiv(builder.fmul(t, t), s))


STEPS: dict[Base, Step] = {
    Base.SQUARED: _squared,
    Base.ABSOLUTE: _absolute,
    Base.DOT: _dot,
    Base.SINE: _sine,
    Base.CHI2: _chi2,
}
