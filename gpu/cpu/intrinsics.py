"""Scalar instructions that numba lacks: fused multiply-add, casts to an operand's type, and powers of two by bits.

They are written without fast-math flags, so that vectorised loops, their remainders and every way of cutting the work
give the same bits.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba.core import types
from numba.core.typing.templates import Signature

from gpu.cpu.jit import intrinsic

MANTISSA_BITS = {types.float32: 23, types.float64: 52}
BIAS = {types.float32: 127, types.float64: 1023}
ROUND = {types.float32: 1.5 * 2.0**23, types.float64: 1.5 * 2.0**52}
"""Adding it rounds a small number to an integer, which then stands in the low bits of the mantissa."""


def _integer(kind: Any) -> ir.IntType:
    return ir.IntType(kind.bitwidth)


@intrinsic
def fma(context: Any, a: Any, b: Any, c: Any) -> tuple[Signature, Any]:
    """Fused a b + c, rounded once; b and c are cast to the type of a."""

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        cast = [context.cast(builder, value, kind, a) for value, kind in zip(values, signature.args, strict=True)]
        return builder.fma(*cast)

    return a(a, b, c), generate


@intrinsic
def like(context: Any, a: Any, value: Any) -> tuple[Signature, Any]:
    """The value in the type of a."""

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        return context.cast(builder, values[1], signature.args[1], a)

    return a(a, value), generate


@intrinsic
def power_of_two(context: Any, shifted: Any) -> tuple[Signature, Any]:
    """2^k where `shifted` is k + ROUND and k an exponent of a normal number."""

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        integer = _integer(shifted)
        biased = builder.add(builder.bitcast(values[0], integer), integer(BIAS[shifted]))
        bits = builder.shl(biased, integer(MANTISSA_BITS[shifted]))
        return builder.bitcast(bits, context.get_value_type(shifted))

    return shifted(shifted), generate


@intrinsic
def exponent(context: Any, x: Any) -> tuple[Signature, Any]:
    """The e with x = m 2^e and m in [1, 2), as a floating-point number; x normal and positive."""

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        integer, number = _integer(x), context.get_value_type(x)
        base = 2.0 ** MANTISSA_BITS[x]
        biased = builder.lshr(builder.bitcast(values[0], integer), integer(MANTISSA_BITS[x]))
        # Set into the mantissa of 2^52 and subtracted again: AVX2 has no conversion of 64-bit integers.
        placed = builder.or_(biased, builder.bitcast(number(base), integer))
        return builder.fsub(builder.bitcast(placed, number), number(base + BIAS[x]))

    return x(x), generate


@intrinsic
def mantissa(context: Any, x: Any) -> tuple[Signature, Any]:
    """The m with x = m 2^e and m in [1, 2); x normal and positive."""

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        integer, number = _integer(x), context.get_value_type(x)
        low = builder.and_(builder.bitcast(values[0], integer), integer(2 ** MANTISSA_BITS[x] - 1))
        bits = builder.or_(low, integer(BIAS[x] << MANTISSA_BITS[x]))
        return builder.bitcast(bits, number)

    return x(x), generate


@intrinsic
def bits(context: Any, x: Any) -> tuple[Signature, Any]:
    """The bits of a float64 as an int64."""

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        return builder.bitcast(values[0], _integer(x))

    return types.int64(x), generate


@intrinsic
def from_bits(context: Any, x: Any) -> tuple[Signature, Any]:
    """The float64 that has the bits of an int64."""

    def generate(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        return builder.bitcast(values[0], context.get_value_type(types.float64))

    return types.float64(x), generate
