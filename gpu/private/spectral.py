"""Weighted features of a lattice as integers: those of random frequencies, with frequencies and norms of their own."""

from __future__ import annotations

from collections.abc import Mapping

from gpu.leaves import Floats
from gpu.private.fourier import FourierSums
from mercer.privacy.mechanisms.spectral import SpectralRecipe


def features(recipe: SpectralRecipe, arrays: Mapping[str, Floats]) -> FourierSums:
    """What is computed of each record for a release."""
    return FourierSums(recipe.features(), recipe.blocks)
