"""Landmark (Nystroem) features: phi(x) = L^-1 k(Z, x), L L^T = k(Z, Z) + jitter I, for public landmarks Z.

phi(x) . phi(y) approximates k(x, y), and is equal to it where x or y is a landmark and the jitter 0. For k(x, x) = 1,
|phi(x)|^2 = k(x, Z) (k(Z, Z) + jitter I)^-1 k(Z, x) <= 1: a Schur complement of a positive semidefinite matrix.
Williams and Seeger, Using the Nystroem method to speed up kernel machines (2001); Hall, Rinaldo and Wasserman,
Differential privacy for functions and functional data (2013).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from scipy.linalg import cholesky, solve_triangular

from gpu.cpu import features as compiled_features
from gpu.cpu import landmarks as compiled
from gpu.leaves import Floats
from gpu.private.pipeline import Integers, Published
from mercer.privacy.fourier import Spectrum
from mercer.privacy.grid import Bounds, clean, grid
from mercer.privacy.kernels import FUNCTIONS, scaled
from mercer.privacy.mechanisms.landmarks import BITS, LandmarkRecipe, default_probes, fit, on_grid, sums_at
from mercer.privacy.sensitivity import Blocks, Weighted

JITTER = 1e-9
"""Times the number of landmarks: far above what rounding does to the smallest eigenvalue of k(Z, Z)."""


@dataclass(frozen=True)
class LandmarkSums:
    """trunc(2^q phi_a(x)); all features of a record are one block."""

    bounds: Bounds
    spectrum: Spectrum
    scale: Floats | float
    """The kernel function's lengthscale, one number or (d,)."""
    landmarks: Floats = field(repr=False)
    """(D, d), public; put into the box as records are."""
    bits: int

    @property
    def blocks(self) -> Blocks:
        """One of all D features."""
        return Blocks(1, len(self.landmarks), self.bits)

    @cached_property
    def _centres(self) -> Floats:
        """(D', d): padded to an even number by copies, which get rows and columns of 0 in the inverse."""
        scaled = self._scaled(clean(self.bounds, self.landmarks))
        return np.pad(scaled, ((0, -len(scaled) % compiled.UNROLLED), (0, 0)), mode="edge")

    @cached_property
    def _inverse(self) -> Floats:
        """(D', D')."""
        size, padded = len(self.landmarks), len(self._centres)
        k = np.empty((padded, padded))
        compiled.landmarks(self._centres, self._centres, np.eye(padded), *FUNCTIONS[self.spectrum], k)
        lower = cholesky(k[:size, :size] + JITTER * size * np.eye(size), lower=True)
        inverse = np.zeros((padded, padded))
        inverse[:size, :size] = solve_triangular(lower, np.eye(size), lower=True)
        return inverse

    def values(self, points: Floats) -> Floats:
        """(n, D) float64 of any points, which are cleaned first; the same for a point whatever is beside it."""
        out = np.empty((len(points), len(self._centres)))
        scaled = self._scaled(clean(self.bounds, points))
        compiled.landmarks(scaled, self._centres, self._inverse, *FUNCTIONS[self.spectrum], out)
        return out[:, : len(self.landmarks)]

    def add(self, points: Floats, sums: Integers) -> None:
        """As gpu.private.pipeline.Features."""
        phi = np.ascontiguousarray(self.values(points)[:, None, :])
        compiled_features.blocks(phi, self.bits, sums.reshape(1, -1))

    def weights(self, sums: Floats) -> Floats:
        """(D,): w with phi(y) . sums = k(y, Z) w for every y."""
        return self._inverse[: len(sums), : len(sums)].T @ sums

    def _scaled(self, points: Floats) -> Floats:
        return scaled(self.spectrum, self.scale, points)


@dataclass(frozen=True)
class LandmarkParts:
    """The features of landmarks and, beside them, those of the probes, by which sums at the probes are known."""

    recipe: LandmarkRecipe
    landmarks: LandmarkSums
    probes: LandmarkSums

    @property
    def bounds(self) -> Bounds:
        """The public box of the records."""
        return self.landmarks.bounds

    @property
    def blocks(self) -> Weighted:
        """Two, with their weights."""
        return self.recipe.weighted

    def add(self, points: Floats, sums: Integers) -> None:
        """As gpu.private.pipeline.Features."""
        size, (first, second) = len(self.landmarks.landmarks), self.blocks.weights
        for features, weight, part in ((self.landmarks, first, sums[:size]), (self.probes, second, sums[size:])):
            own = np.zeros_like(part)
            features.add(points, own)
            part += weight * own

    def published(self, noisy: Integers) -> Published:
        """The weights that answer, the positions, and how far the answers at the probes are from the sums there."""
        own, at, unit = self.landmarks, self.probes.landmarks, 2.0**BITS
        first, second = (weight * unit for weight in self.blocks.weights)
        features, probes = np.split(noisy[:-1], [len(own.landmarks)])
        weights = own.weights(features / first)
        known, guessed = self.probes.values(at), own.values(at)
        exact = known @ (probes / second)
        error = _rms(sums_at(own.spectrum, own.scale, self.bounds, at, own.landmarks, weights) - exact)
        noise = self.recipe.deviation * math.hypot(_length(known) / second, _length(guessed) / first)
        facts = {
            "approximation_error": error,
            "probe_noise": noise,
            "probe_level": _rms(exact),
            "landmarks_fit": fit(error, noise, _rms(exact)),
        }
        positions = [grid(self.bounds, one).astype(np.int64).ravel() for one in (own.landmarks, at)]
        return Published(np.concatenate([noisy, weights.view(np.int64), *positions]), facts)


def features(recipe: LandmarkRecipe, arrays: Mapping[str, Floats]) -> LandmarkParts:
    """What is computed of each record for a release."""
    asked = recipe.request
    box, seed = asked.terms.domain, asked.feature_seed
    landmarks = on_grid(box, arrays["landmarks"])
    given = arrays.get("probes")
    probes = on_grid(box, default_probes(box, landmarks, recipe.n_probes, seed) if given is None else given)
    both = (LandmarkSums(box, asked.spectrum, np.array(asked.scale), one, BITS) for one in (landmarks, probes))
    return LandmarkParts(recipe, *both)


def _rms(values: Floats) -> float:
    return float(np.sqrt(np.mean(values**2)))


def _length(features: Floats) -> float:
    """Root mean square norm of rows."""
    return float(np.sqrt(np.mean((features**2).sum(axis=1))))
