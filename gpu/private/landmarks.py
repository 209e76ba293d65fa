"""Landmark (Nystroem) features: phi(x) = L^-1 k(Z, x), L L^T = k(Z, Z) + jitter I, for public landmarks Z.

phi(x) . phi(y) approximates k(x, y), and is equal to it where x or y is a landmark and the jitter 0. For k(x, x) = 1,
|phi(x)|^2 = k(x, Z) (k(Z, Z) + jitter I)^-1 k(Z, x) <= 1: a Schur complement of a positive semidefinite matrix.
Williams and Seeger, Using the Nystroem method to speed up kernel machines (2001); Hall, Rinaldo and Wasserman,
Differential privacy for functions and functional data (2013).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from scipy.linalg import cholesky, solve_triangular

from gpu.cpu import features as compiled_features
from gpu.cpu import landmarks as compiled
from gpu.leaves import Floats
from gpu.private.pipeline import Integers
from mercer.privacy.fourier import Spectrum
from mercer.privacy.grid import Bounds, clean
from mercer.privacy.sensitivity import Blocks

JITTER = 1e-9
"""Times the number of landmarks: far above what rounding does to the smallest eigenvalue of k(Z, Z)."""
SQRT_HALF = 0.7071067811865476

FUNCTIONS: dict[Spectrum, tuple[int, bool]] = {
    "gaussian": (0, False),
    "exponential": (1, False),
    "laplacian_l1": (0, True),
    "rational_l2_squared": (2, False),
    "rational_l2": (3, False),
    "rational_l1": (2, True),
}
"""The function of the base and whether the base is of absolute differences, as gpu.cpu.landmarks has them."""


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

    def _scaled(self, points: Floats) -> Floats:
        """In lengthscales; e^(-|z|^2 / 2) is e^-b for half the squares."""
        factor = SQRT_HALF if self.spectrum == "gaussian" else 1.0
        return points * (factor / np.asarray(self.scale, np.float64))
