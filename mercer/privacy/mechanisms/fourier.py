"""Kernel sums by random Fourier features: any kernel function, any number of dimensions.

With m frequencies the kernel sum at y is estimated by (1/m) sum_j (S_cj I_cj(y) + S_sj I_sj(y)) / 4^q from the sums S
of the integer features I. Rahimi and Recht, Random features for large-scale kernel machines (2007).
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from typing import Any, ClassVar, Self

import numpy as np

from mercer.errors import InvalidArray
from mercer.privacy.fourier import FourierFeatures
from mercer.privacy.grid import Floats
from mercer.privacy.products import POINTS_AT_ONCE, products
from mercer.privacy.recipe import Estimates, Recipe, Request
from mercer.privacy.sensitivity import Blocks
from mercer.privacy.terms import Box

BITS = 16
"""A feature of 1 is the integer 2^16: truncation then changes a kernel value by less than 1e-4."""
COUNT_SHARE = 16
"""Part of the features' squared norm that the count's weight has: the noise of many features grows by 3 to 4 %."""
GAUSSIAN_FEATURES, LAPLACE_FEATURES = 1_024, 256
"""Unless asked for: the error of Laplace noise grows with them."""
LIMB_BITS = 31
"""Features have 17 bits: sums of 2^15 products with 31 bits fit 63."""
WIDEST = 1.02
"""The variance (1 + k(2z)) / 2 - k(z)^2 of a frequency is at most 1/2; for rational kernel functions 2 % more."""


class FourierRecipe(Recipe):
    """m random frequencies: 2 m features."""

    name: ClassVar[str] = "fourier"
    title: ClassVar[str] = "random Fourier features"
    stated: ClassVar[frozenset[str]] = frozenset(
        ("scale", "spectrum", "n_features", "feature_seed", "frequencies_sha256", "bits", "count_weight")
    )

    @classmethod
    def of(cls, request: Request) -> Self:
        """There is one for every request."""
        return cls(request)

    @property
    def m(self) -> int:
        """Frequencies."""
        return self.request.n_features or (GAUSSIAN_FEATURES if self.request.delta else LAPLACE_FEATURES)

    def features(self) -> FourierFeatures:
        """Drawn by the public seed."""
        asked = self.request
        return FourierFeatures.draw(
            asked.spectrum, np.array(asked.scale), asked.terms.domain, self.m, asked.feature_seed
        )

    @property
    def blocks(self) -> Blocks:
        """The cosine and the sine of each frequency."""
        return Blocks(self.m, 2, BITS)

    @property
    def size(self) -> int:
        """As Recipe."""
        return 2 * self.m + 1

    @property
    def count_weight(self) -> int:
        """What the constant feature is, in the unit of the others."""
        if self.request.delta:
            return math.isqrt(self.m // COUNT_SHARE) + 1
        return self.m // 8 + 1

    @property
    def count_norm(self) -> int:
        """As Recipe."""
        return self.count_weight * 2**BITS

    @property
    def features_l1(self) -> int:
        """As Recipe."""
        return self.blocks.l1(self.request.terms.neighbours)

    @property
    def features_l2_squared(self) -> int:
        """As Recipe."""
        return self.blocks.l2_squared(self.request.terms.neighbours)

    @property
    def noise_error(self) -> float:
        """The same at every point, as cos^2 + sin^2 = 1."""
        return self.deviation / (math.sqrt(self.m) * 2**BITS)

    @property
    def approximation_error_per_record(self) -> float:
        """Over the frequencies' seeds."""
        return WIDEST / math.sqrt(2 * self.m)

    @property
    def flops_per_record(self) -> int:
        """As Recipe."""
        return 2 * self.m * (self.request.terms.domain.d + 20)

    @property
    def table_bytes(self) -> int:
        """As Recipe."""
        return 32 * (self.request.terms.domain.d + 4) * self.m

    def parameters(self) -> dict[str, Any]:
        """As Recipe."""
        return {
            "n_features": self.m,
            "feature_seed": self.request.feature_seed,
            "frequencies_sha256": digest(self.features()),
            "bits": BITS,
            "count_weight": self.count_weight,
        }

    @classmethod
    def size_of(cls, parameters: Mapping[str, Any]) -> int:
        """As Recipe."""
        return 2 * int(parameters["n_features"]) + 1

    @classmethod
    def estimates(cls, vector: Floats, parameters: Mapping[str, Any], points: Floats) -> Estimates:
        """The approximation error is a bound of the standard deviation over the frequencies' seeds.

        It is 1.02 n / sqrt(2 m), where n is the number of records as released and twice its error more.
        """
        drawn, unit = features_of(parameters), 2.0 ** parameters["bits"]
        sums = np.empty(len(points))
        for start in range(0, len(points), POINTS_AT_ONCE):
            values = drawn.values(points[start : start + POINTS_AT_ONCE])
            integers = np.trunc(values * unit).astype(np.int64)
            sums[start : start + len(values)] = products(integers, vector[:-1], LIMB_BITS) / (drawn.m * unit * unit)
        records = float(vector[-1]) / (parameters["count_weight"] * unit)
        most = max(records, 0.0) + 2 * parameters["count_error"]
        bound = WIDEST * most / math.sqrt(2 * drawn.m)
        noise = np.full(len(points), float(parameters["noise_error"]))
        return Estimates(sums, records, noise, np.full(len(points), bound))


def digest(drawn: FourierFeatures) -> str:
    """SHA-256 of the frequencies, in hex."""
    return hashlib.sha256(np.ascontiguousarray(drawn.turns, "<u4").tobytes()).hexdigest()


def features_of(parameters: Mapping[str, Any]) -> FourierFeatures:
    """The features of a release, drawn again from its public seed.

    Raises:
        InvalidArray: they are not those that the release was made with.
    """
    known = parameters
    box, scale = Box(**known["box"]), np.array(known["scale"])
    drawn = FourierFeatures.draw(known["spectrum"], scale, box, known["n_features"], known["feature_seed"])
    if digest(drawn) != known["frequencies_sha256"]:
        raise InvalidArray("expected the frequencies of the release; this version of NumPy draws others from its seed")
    return drawn
