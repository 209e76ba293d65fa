"""The exact integers of private distances: what each mechanism of mercer.privacy.distances adds its noise to."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

import numpy as np

from gpu.cpu import distances as compiled
from gpu.device import Device
from gpu.leaves import Floats
from gpu.private.pipeline import Integers, exact_sums
from mercer.privacy.distances import Distances, Mechanism
from mercer.privacy.distances.axes import Axes
from mercer.privacy.distances.cosines import circle
from mercer.privacy.distances.moments import HALF_GRID_BITS, MomentDistances
from mercer.privacy.distances.spectral import TABLE_BITS, SpectralDistances
from mercer.privacy.distances.tree import TreeDistances
from mercer.privacy.grid import GRID_BITS, Bounds, grid
from mercer.privacy.sensitivity import Blocks

FREQUENCIES_AT_ONCE = 256


@dataclass(frozen=True)
class Histogram:
    """The grid points beside a record on each axis, with integer weights that add up to 2^shift."""

    axes: Axes
    cells: int
    shift: int

    @property
    def bounds(self) -> Bounds:
        """The public box of the records."""
        return self.axes.bounds

    @property
    def blocks(self) -> Blocks:
        """One for each axis: two weights that add up to 2^s have squares that add up to at most 4^s."""
        return Blocks(len(self.axes.widths), self.cells + 2, self.shift)

    def add(self, points: Floats, sums: Integers) -> None:
        """As gpu.private.pipeline.Summands."""
        compiled.histogram(self.axes.positions(points), self.shift, sums.reshape(-1, self.cells + 2))


@dataclass(frozen=True)
class Leaves:
    """The leaf of a record on each axis: 2^20 in the tree of counts, its position in the tree of sums."""

    axes: Axes
    cells: int
    shift: int
    columns: int

    @property
    def bounds(self) -> Bounds:
        """The public box of the records."""
        return self.axes.bounds

    @property
    def blocks(self) -> Blocks:
        """One leaf of each tree."""
        return Blocks(len(self.axes.widths) * self.columns, self.cells, GRID_BITS)

    def add(self, points: Floats, sums: Integers) -> None:
        """As gpu.private.pipeline.Summands."""
        trees = sums.reshape(-1, self.columns, self.cells)
        for tree, position in zip(trees, self.axes.positions(points).astype(np.int64).T, strict=True):
            leaf = np.minimum(position >> self.shift, self.cells - 1)
            for nodes, value in zip(tree, (1 << GRID_BITS, position), strict=False):
                np.add.at(nodes, leaf, value)


@dataclass(frozen=True)
class Moments:
    """Integers of a record: a constant, its coordinates from the middle of the box, and the sum of their squares."""

    recipe: MomentDistances

    @property
    def bounds(self) -> Bounds:
        """The public box of the records."""
        return self.recipe.axes.bounds

    @property
    def blocks(self) -> Blocks:
        """One number each; their own norms are checked in `add`."""
        return Blocks(self.recipe.size, 1, 24)

    def add(self, points: Floats, sums: Integers) -> None:
        """As gpu.private.pipeline.Summands; every integer is clipped to its amplitude."""
        norms = self.recipe.amplitudes
        offsets = grid(self.bounds, points).astype(np.int64) - (1 << HALF_GRID_BITS)
        coordinates = toward_zero(norms[1:-1] * offsets, HALF_GRID_BITS)
        parts = self.recipe.half_squares / self.recipe.half_squares.sum()
        squares = np.trunc(((offsets * 2.0**-HALF_GRID_BITS) ** 2 @ parts) * norms[-1]).astype(np.int64)
        integers = np.concatenate([coordinates, squares[:, None]], axis=1)
        sums[0] += len(points) * norms[0]
        sums[1:] += np.clip(integers, -norms[1:], norms[1:]).sum(axis=0)


def exact_distances(recipe: Distances, points: Floats, device: Device) -> Integers:
    """The integers of all records, (size,) int64.

    Raises:
        ValueError: there are more records than there may be.
    """
    if len(points) > recipe.request.max_records:
        raise ValueError("Expected at most max_records records.")
    return SUMS[recipe.request.mechanism](recipe, points, device)


def spectral(recipe: Distances, points: Floats, device: Device) -> Integers:
    """The histograms of all axes, then integer cosines and sines of every grid point, whatever the records are."""
    recipe = cast(SpectralDistances, recipe)
    cells, amplitudes = recipe.request.cells, recipe.amplitudes
    features = Histogram(recipe.axes, cells, recipe.shift)
    counts = exact_sums(features, points, device).reshape(-1, cells + 2)[:, :-1]
    sums = np.zeros((len(counts), 2, amplitudes.pairs.shape[1]), np.int64)
    table, frequencies = cosine_table(cells), recipe.cosines.frequencies

    def add(part: tuple[int, int]) -> None:
        axis, first = part
        some = slice(first, first + FREQUENCIES_AT_ONCE)
        compiled.cosines(
            counts[axis], table, frequencies[some], amplitudes.pairs[axis, some], TABLE_BITS, sums[axis, :, some]
        )

    parts = [(axis, first) for axis in range(len(counts)) for first in range(0, len(frequencies), FREQUENCIES_AT_ONCE)]
    list(device.threads.map(add, parts))
    constant = (len(points) * amplitudes.constant) << recipe.shift
    return np.concatenate([np.array([constant], np.int64), sums.ravel()])


def cosine_table(cells: int) -> Integers:
    """(2, 2 G): integer cosines and sines of pi m / G; pairs whose squares add up to more than 4^q are halved."""
    pairs = np.trunc(np.array(circle(2 * cells)) * 2.0**TABLE_BITS).astype(np.int64)
    over = (pairs**2).sum(axis=0) > 1 << 2 * TABLE_BITS
    halved: Integers = np.where(over, toward_zero(pairs, 1), pairs)
    return halved


def moments(recipe: Distances, points: Floats, device: Device) -> Integers:
    """The moments of all records."""
    return exact_sums(Moments(cast(MomentDistances, recipe)), points, device)


def trees(recipe: Distances, points: Floats, device: Device) -> Integers:
    """All leaves, then the sums of two nodes up to the root."""
    recipe = cast(TreeDistances, recipe)
    cells = recipe.request.cells
    leaves = exact_sums(Leaves(recipe.axes, cells, recipe.shift, recipe.columns), points, device)
    levels = [leaves.reshape(-1, cells)]
    while levels[-1].shape[1] > 1:
        levels.append(levels[-1][:, ::2] + levels[-1][:, 1::2])
    return np.concatenate(levels[::-1], axis=1).ravel()


def toward_zero(values: Integers, bits: int) -> Integers:
    """Values / 2^bits without their fractions."""
    rounded: Integers = (values + ((values >> 63) & ((1 << bits) - 1))) >> bits
    return rounded


SUMS: dict[Mechanism, Callable[[Distances, Floats, Device], Integers]] = {
    "spectral": spectral,
    "moments": moments,
    "tree": trees,
    "tree_rings": trees,
}
