"""How a large matrix is cut up and computed; decided from shapes alone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from gpu.leaves import Base, Function, Leaf, Program
from mercer.specs.gram import WHOLE_BYTES

PRODUCT_DIMENSIONS = 192
"""From so many dimensions on u . v comes from BLAS; below, direct sums are as fast and lose no digits."""
MIRROR_WORK = 80
"""Dimensions, over all leaves: from there on computing an entry costs more than copying it to its mirror image."""
EDGE = 512
"""Rows and columns of a tile: three of them in float64 fill a core's share of the L3 cache, not more."""
SLAB_ROWS = 128
"""Rows that a thread computes at a time where there are no tiles."""
DIVISION_WORK = 4
"""A division, or a polynomial, in place of one multiplication."""

WORK = {Base.SINE: DIVISION_WORK, Base.CHI2: DIVISION_WORK}
FUNCTION_WORK = {Function.MATERN_TABLE: 48, Function.RATIONAL_QUADRATIC: 24}
ENTRY_WORK = 16


class Part(NamedTuple):
    """A rectangle of the matrix: rows [row, row_end), columns [column, column_end)."""

    row: int
    row_end: int
    column: int
    column_end: int


@dataclass(frozen=True)
class Plan:
    """One large matrix."""

    n: int
    m: int
    panel_rows: int
    """Rows of a panel, which is computed at once and then handed on."""
    edge: int | None
    """Rows and columns of a tile; None where all columns of some rows are computed together."""
    symmetric: bool
    mirrored: bool
    """Whether tiles below the diagonal are copied from above it."""

    def panels(self) -> list[tuple[int, int]]:
        """First row and end of each."""
        return [(row, min(row + self.panel_rows, self.n)) for row in range(0, self.n, self.panel_rows)]

    def parts(self, row: int, row_end: int) -> list[Part]:
        """What the threads take one by one to compute a panel."""
        height, width = (self.edge, self.edge) if self.edge else (SLAB_ROWS, self.m)
        return [
            Part(i, min(i + height, row_end), j, min(j + width, self.m))
            for i in range(row, row_end, height)
            for j in range(i if self.mirrored else 0, self.m, width)
        ]


def plan(program: Program, rows: int) -> Plan:
    """Cut a matrix into panels of at most so many rows, at least 1; or not, where half of it can be copied."""
    n, m = len(program.leaves[0].u), len(program.leaves[0].v)
    fits = rows >= n or n * m * 8 <= WHOLE_BYTES
    mirrored = program.symmetric and fits and sum(map(work, program.leaves)) >= MIRROR_WORK
    whole = mirrored or rows >= n
    tiled = mirrored or any(takes_product(leaf) for leaf in program.leaves)
    edge = min(EDGE, 2 ** (rows.bit_length() - 1)) if tiled and not whole else EDGE
    panel_rows = n if whole else rows // edge * edge if tiled else rows
    return Plan(n, m, panel_rows, edge if tiled else None, program.symmetric, mirrored)


def takes_product(leaf: Leaf) -> bool:
    """Whether its dimensions are many enough for BLAS."""
    return leaf.base in {Base.SQUARED, Base.DOT} and leaf.u.shape[1] >= PRODUCT_DIMENSIONS


def work(leaf: Leaf) -> int:
    """What an entry costs, in dimensions of a squared distance."""
    return ENTRY_WORK + leaf.u.shape[1] * WORK.get(leaf.base, 1) + FUNCTION_WORK.get(leaf.function, 0)
