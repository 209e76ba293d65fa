"""Random Fourier features as integers: the compiled twin of mercer.privacy.fourier."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from gpu.cpu import features as compiled
from gpu.leaves import Floats
from gpu.private.pipeline import Integers, Published
from mercer.privacy.fourier import FourierFeatures
from mercer.privacy.grid import Bounds, grid
from mercer.privacy.mechanisms.fourier import FourierRecipe
from mercer.privacy.sensitivity import Blocks, Pairs


@dataclass(frozen=True)
class FourierSums:
    """trunc(a_k cos(w_k x)) of all frequencies, then trunc(a_k sin(w_k x)); a block is a pair, a_k its norm."""

    features: FourierFeatures
    blocks: Blocks | Pairs

    @property
    def bounds(self) -> Bounds:
        """The public box of the records."""
        return self.features.bounds

    @cached_property
    def _tiles(self) -> Floats:
        """(tiles, d, TILE): frequencies and dimensions of 0 turns make the numbers even."""
        d, m = self.features.turns.shape
        padded = np.pad(self.features.turns, ((0, -d % compiled.UNROLLED), (0, -m % compiled.TILE)))
        return np.ascontiguousarray(padded.reshape(len(padded), -1, compiled.TILE).swapaxes(0, 1))

    @cached_property
    def _norms(self) -> Floats:
        """(tiles, TILE) float64."""
        tiles = self._tiles.shape[0]
        return np.resize(np.array(self.blocks.norms, np.float64), tiles * compiled.TILE).reshape(tiles, -1)

    def add(self, points: Floats, sums: Integers) -> None:
        """As gpu.private.pipeline.Features."""
        d, m = self.features.turns.shape
        positions = np.zeros((len(points), self._tiles.shape[1]), np.uint32)
        positions[:, :d] = grid(self.bounds, points)
        padded = np.zeros((2, len(self._tiles), compiled.TILE), np.int64)
        compiled.fourier(positions, self._tiles, self._norms, padded)
        sums += padded.reshape(2, -1)[:, :m].ravel()

    def published(self, noisy: Integers) -> Published:
        """The noisy numbers alone: the frequencies are drawn again."""
        return Published(noisy, {})


def features(recipe: FourierRecipe, arrays: Mapping[str, Floats]) -> FourierSums:
    """What is computed of each record for a release."""
    return FourierSums(recipe.features(), recipe.blocks)
