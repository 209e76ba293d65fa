"""Defects planted in the kernels of sliced Wasserstein costs are found."""

from functools import cache

import numpy as np
import pytest

from gpu.device import Device
from gpu.sliced import slices
from tests.emulator.emulated import ORDERS, EmulatedDevice, Fault
from tests.gpu.cuda.test_sliced import DOUBLE, SINGLE, TOLERANCE, large, request, small

BATTERIES = {
    "a block": (small, [(600, 590, "uniform", DOUBLE, 40, 2), (5, 570, "uniform", DOUBLE, 3, 1)]),
    "warps": (small, [(40, 33, "uniform", SINGLE, 2, 3), (64, 64, "uniform", SINGLE, 2, 9)]),
    "a block, weighted": (small, [(900, 800, "weighted", DOUBLE, 3, 2)]),
    "keys": (large, [(300, 290, "uniform", SINGLE, 20, 3)]),
    "ranks": (large, [(300, 290, "uniform", DOUBLE, 3, 3)]),
    "ranks, weighted": (large, [(600, 500, "weighted", DOUBLE, 3, 3)]),
}
"""A way, and requests: n, m, the form of their weights (of which a fifth is zero), dtype, dimensions, directions."""

READ = "Team<C>::sync();  // what was in the slots before has been read"
SORT, SHARE = "\n#pragma unroll\n        for (int i = 0; i < ITEMS; i++) slots", "\n#pragma unroll\n    for (int i = 0"

MUTATIONS = {
    "a block": {
        "directions are overwritten while they are read": (
            "Team<C>::sync();  // what was staged before has been read",
            "",
        ),
        "directions are read before they are staged": ("Team<C>::sync();\n        const P* row", "const P* row"),
        "a point beyond the last is read": ("< n) part[i]", "<= n) part[i]"),
        "the padding is left out": ("if (number >= n) atoms.value[i] = infinity<P>();", ""),
        "atoms are overwritten while partners read them": (READ + SORT, SORT),
        "atoms are read before partners wrote them": (
            "        Team<C>::sync();\n#pragma unroll\n        for (int i = 0; i < ITEMS; i++)\n            theirs",
            "#pragma unroll\n        for (int i = 0; i < ITEMS; i++)\n            theirs",
        ),
        "partners are not met in reverse": ("compare_threads<true>", "compare_threads<false>"),
        "the upper thread keeps the smaller atoms": ("!(thread & run / 2), slots", "(thread & run / 2), slots"),
        "sorted values are overwritten too early": (READ + SHARE, SHARE),
        "the mass of a partner is another's": ("(first + 1) * n - start", "(first + 1) * m - start"),
        "sums of warps are read before they are there": ("= sum;\n    __syncthreads();", "= sum;"),
        "costs are written over another's": ("out[request.out + direction]", "out[direction]"),
    },
    "warps": {
        "a direction beyond the last is computed": ("if (direction >= request.directions) return;", ""),
        "all teams of a block share their memory": ("memories[Team<C>::number()]", "memories[0]"),
    },
    "a block, weighted": {
        "weights lose their atoms": ("                atoms.index[i] = index[i];\n", ""),
        "sums of masses are overwritten while they are read": (
            "__syncthreads();  // what was there before has been read",
            "",
        ),
        "the warp's own sum is counted twice": ("if (w < warp)", "if (w <= warp)"),
        "equal sums are counted twice": ("mass + GREATER", "mass"),
        "a stretch begins at the first atom": ("max(sum_before, below)", "max(0 * sum_before, below)"),
    },
    "keys": {
        "negative values are not turned": ("bits >> 31 ? ~bits : bits | 1u << 31;", "bits | 1u << 31;"),
        "slices are not told apart": ("Key(s) << SLICE_BIT", "Key(s & 0) << SLICE_BIT"),
        "points are overwritten while they are read": ("__syncthreads();  // what was staged before has been read", ""),
        "a point beyond the last is written": (
            "column_of(j) < width) {\n        const",
            "column_of(j) <= width) {\n        const",
        ),
        "a part goes beyond its slice": ("min(n, start + PART)", "(start + PART)"),
    },
    "ranks": {
        "slices are taken apart by points": ("K(order[rank] / n)", "K(order[rank] % n)"),
        "the smaller measure has the larger's rows": (
            "u += slice * n;\n    v += slice * m;\n    double",
            "u += slice * n;\n    v += slice * n;\n    double",
        ),
    },
    "ranks, weighted": {
        "masses of a slice begin anew": ("before += scan.all;", ""),
        "masses are another slice's": ("element(order, ranks[first + i]) - first]", "element(order, ranks[i])]"),
        "the last atoms are left out": ("min(n + m, start + PART)", "min(n, start + PART)"),
    },
}
PLANTED = [pytest.param(battery, edit, id=name) for battery, edits in MUTATIONS.items() for name, edit in edits.items()]


@cache
def expected(battery):
    _, cases = BATTERIES[battery]
    return slices.costs(made(cases), Device("cpu"))


def made(cases):
    return [request(n, m, form, 2, dtype, d, count) for n, m, form, dtype, d, count in cases]


def holds(battery, device):
    """Whether the kernels do what they must."""
    way, cases = BATTERIES[battery]
    requests = made(cases)
    return all(
        np.allclose(got, wanted, rtol=TOLERANCE[given.pair.dtype], atol=0)
        for given, got, wanted in zip(requests, way(requests, device), expected(battery), strict=True)
    )


@pytest.mark.parametrize("order", ORDERS)
@pytest.mark.parametrize("battery", BATTERIES)
def test_the_kernels_as_they_are_hold(battery, order):
    assert holds(battery, EmulatedDevice(order))


@pytest.mark.parametrize(("battery", "edit"), PLANTED)
def test_a_planted_defect_is_found(battery, edit):
    def found(order):
        try:
            return not holds(battery, EmulatedDevice(order, edits=[edit]))
        except Fault:
            return True

    assert any(found(order) for order in ORDERS)
