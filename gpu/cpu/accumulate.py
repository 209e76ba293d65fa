"""The innermost loops: b(u_i, v_j) for 4 points by 2 vectors of points, with the sums kept in registers.

Written in LLVM's vector instructions, because no automatic vectoriser keeps the sums in registers. Each entry is summed
over the dimensions in order, by the same instructions wherever it stands: hence K(x, x) is exactly symmetric, and a
result does not depend on how the work was cut.

v is packed: CHUNK dimensions (the last ones may be fewer) of all columns, then the next; in each, blocks of columns
that are computed together, as (dimensions, BLOCK). So a block is read straight through, and stays in the L1 cache for
many rows.
"""

from __future__ import annotations

from typing import Any

from llvmlite import ir
from numba.core import types
from numba.core.typing.templates import Signature

from gpu.cpu.jit import intrinsic
from gpu.cpu.lanes import STEPS, VECTOR_BYTES, Lanes, Step, Value
from gpu.leaves import Base

ROWS = 4
VECTORS = 2
BLOCK_BYTES = VECTORS * VECTOR_BYTES
"""Of the columns that are computed together."""

CHUNK = 64
"""Dimensions that are summed before they are added to the rest: float32's rounding errors then grow with k / 64."""

_INDEX = ir.IntType(64)


def _accumulate(step: Step) -> Any:
    """The intrinsic of one base quantity: of u at 4 offsets, v and w at one each, put into 4 rows of out or added.

    There is at least one dimension; the rows of out are `width` apart.
    """

    def typed(
        context: Any,
        u: Any,
        rows: Any,
        v: Any,
        v_at: Any,
        w: Any,
        w_at: Any,
        k: Any,
        out: Any,
        at: Any,
        width: Any,
        add: Any,
    ) -> tuple[Signature, Any]:
        index = types.int64
        signature = types.void(u, rows, v, index, w, index, index, out, index, index, types.boolean)
        return signature, lambda context, builder, signature, values: _generate(
            step, context, builder, signature.args, values
        )

    return intrinsic(typed)


def _generate(step: Step, context: Any, builder: Any, kinds: Any, values: Any) -> Value:
    """Code of a block."""

    def pointer(array: int, offset: Value) -> Value:
        data = context.make_array(kinds[array])(context, builder, values[array]).data
        return builder.gep(data, [offset])

    lanes = Lanes(builder, kinds[0].dtype, context)
    u = [pointer(0, builder.extract_value(values[1], row)) for row in range(ROWS)]
    sums = _loop(step, lanes, u, pointer(2, values[3]), pointer(4, values[5]), values[6])
    out, width = pointer(7, values[8]), values[9]
    for index, total in enumerate(sums):
        row, vector = divmod(index, VECTORS)
        at = builder.gep(out, [builder.add(builder.mul(width, _INDEX(row)), _INDEX(lanes.lanes * vector))])
        lanes.store(builder.select(values[10], builder.fadd(lanes.load(at), total), total), at)
    return context.get_dummy_value()


def _loop(step: Step, lanes: Lanes, u: list[Value], v: Value, w: Value, k: Value) -> list[Value]:
    """The sums over the dimensions c < k."""
    builder = lanes.builder
    before, body = builder.block, builder.append_basic_block("dimension")
    builder.branch(body)
    builder.position_at_end(body)
    c = builder.phi(_INDEX)
    sums = [builder.phi(lanes.type) for _ in range(ROWS * VECTORS)]
    first = builder.mul(c, _INDEX(lanes.lanes * VECTORS))
    vs = [lanes.load(builder.gep(v, [builder.add(first, _INDEX(lanes.lanes * i))])) for i in range(VECTORS)]
    weight = lanes.spread(builder.gep(w, [c]))
    points = [lanes.spread(builder.gep(row, [c])) for row in u]
    totals = [
        step(lanes, total, points[index // VECTORS], vs[index % VECTORS], weight) for index, total in enumerate(sums)
    ]
    following = builder.add(c, _INDEX(1))
    for phi, start, end in [
        (c, _INDEX(0), following),
        *((s, lanes.constant(0.0), t) for s, t in zip(sums, totals, strict=True)),
    ]:
        phi.add_incoming(start, before)
        phi.add_incoming(end, body)
    after = builder.append_basic_block("summed")
    again = builder.cbranch(builder.icmp_signed("<", following, k), body, after)
    again.set_metadata("llvm.loop", _never_unrolled(builder.module))
    builder.position_at_end(after)
    return totals


def _never_unrolled(module: Any) -> Value:
    """A loop's metadata: unrolled, it would not have enough registers, and run at half the speed."""
    disable = module.add_metadata([ir.MetaDataString(module, "llvm.loop.unroll.disable")])
    loop = module.add_metadata([ir.MetaDataString(module, f"loop {len(module.metadata)}"), disable])
    loop.operands = (loop, disable)  # LLVM knows a loop's metadata by its reference to itself
    return loop


squared = _accumulate(STEPS[Base.SQUARED])
absolute = _accumulate(STEPS[Base.ABSOLUTE])
dot = _accumulate(STEPS[Base.DOT])
sine = _accumulate(STEPS[Base.SINE])
chi2 = _accumulate(STEPS[Base.CHI2])
