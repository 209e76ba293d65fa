"""Kernel sums by landmarks: public points near which the kernel sums of the data are wanted, and known well.

With L L^T = k(Z, Z) + jitter I for landmarks Z, a record has the features phi(x) = L^-1 k(Z, x), and the kernel sum at
y is estimated by phi(y) . S = k(y, Z) (L^-T S) from the sums S of the features. The release has the weights L^-T S
beside S, so that it answers by kernel values alone, the same bits on every machine. Williams and Seeger, Using the
Nystroem method to speed up kernel machines (2001); Hall, Rinaldo and Wasserman, Differential privacy for functions and
functional data (2013).

How well landmarks fit the data is not known beforehand. So a part of the privacy is spent on the kernel sums at public
probes: landmark features of their own, by which the sums at the probes are exact but for noise. What the landmarks make
of the sums there, against these, is the measured error.

The array of a release is the noisy sums of the D landmark features, those of the P probe features, the noisy number of
records; then public numbers: the D weights, as the bits of float64, and the positions of the landmarks, (D, d), and of
the probes, (P, d), in steps of the box's grid.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, ClassVar, NamedTuple, Self

import numpy as np

from mercer.privacy.fourier import Spectrum
from mercer.privacy.grid import Bounds, Floats, clean, grid, points_at
from mercer.privacy.kernels import folded, kernel_values, scaled
from mercer.privacy.recipe import Estimates, Recipe, Request
from mercer.privacy.sensitivity import Blocks, Weighted
from mercer.privacy.terms import Box

BITS = 20
"""A feature of 1 is the integer 2^20: truncation then changes a mean by less than 1e-6 in practice."""
WEIGHT = 64
"""Of the landmark features; the probe features' and the count's are in proportion to it, and whole numbers."""
COUNT_PART = 4
"""The landmark features' weight over the count's, where noise is Gaussian: it grows by 3 %."""
LAPLACE_COUNT_PART = 8
"""The landmark features' L1 norm over the count's, where noise is Laplace's."""
GAUSSIAN_PROBES, LAPLACE_PROBES = 240, 32
"""Unless given: Laplace noise grows with their number."""
FEWEST_PROBES, MOST_PROBES = 16, 1_024
CHECK_SHARE = 0.1
"""Unless asked for."""
MAX_LANDMARKS = 4_096
VALUES_AT_ONCE = 2**20
"""Kernel values that are computed at once: 8 MiB, some of them at a time."""
NOISE_FACTOR = 4.0
"""An error is seen when it is more than this times what noise explains: by chance, even if the noise is the same at all
probes, one time in 16,000."""
FIT_PART = 0.02
"""Of the root mean square kernel sum at the probes: a larger error says that the landmarks do not fit."""


class Parts(NamedTuple):
    """The array of a release."""

    features: Floats
    """(D,) noisy sums."""
    probes: Floats
    """(P,) noisy sums."""
    records: int
    """Noisy."""
    weights: Floats
    """(D,) float64."""
    landmarks: Floats
    """(D, d) points."""
    probed: Floats
    """(P, d) points."""


class LandmarkRecipe(Recipe):
    """D landmark features in one block, P probe features in another."""

    name: ClassVar[str] = "landmarks"
    title: ClassVar[str] = "landmark features"
    stated: ClassVar[frozenset[str]] = frozenset(
        (
            *("scale", "spectrum", "bits", "n_landmarks", "n_probes", "feature_weight", "probe_weight", "count_weight"),
            *("approximation_error", "landmarks_fit", "probe_noise", "probe_level"),
        )
    )

    @classmethod
    def of(cls, request: Request) -> Self:
        """There is one where landmarks are given."""
        if request.n_landmarks is None:
            raise ValueError("expected landmarks: public points where the kernel sums are wanted")
        if request.n_features is not None:
            raise ValueError("expected no n_features with landmarks: there is one for each")
        if request.n_landmarks > MAX_LANDMARKS:
            raise ValueError(f"expected at most {MAX_LANDMARKS} landmarks, got {request.n_landmarks}")
        if not FEWEST_PROBES <= (request.n_probes or FEWEST_PROBES) <= MOST_PROBES:
            raise ValueError(f"expected {FEWEST_PROBES} to {MOST_PROBES} probes, got {request.n_probes}")
        return cls(request)

    @property
    def n_landmarks(self) -> int:
        """D."""
        return self.request.n_landmarks or 0

    @property
    def n_probes(self) -> int:
        """P."""
        return self.request.n_probes or (GAUSSIAN_PROBES if self.request.delta else LAPLACE_PROBES)

    @property
    def blocks(self) -> tuple[Blocks, Blocks]:
        """All landmark features, and all probe features."""
        return Blocks(1, self.n_landmarks, BITS), Blocks(1, self.n_probes, BITS)

    @property
    def count_weight(self) -> int:
        """What the constant feature is, in units of 2^BITS."""
        if self.request.delta:
            return WEIGHT // COUNT_PART
        return WEIGHT * math.isqrt(self.n_landmarks) // LAPLACE_COUNT_PART

    @property
    def probe_weight(self) -> int:
        """The largest with which the probes have at most their share: of mu^2, or of epsilon."""
        asked = self.request.check_share or CHECK_SHARE
        share = asked / (1 - asked)
        if self.request.delta:
            return max(1, math.floor(math.sqrt(share * (WEIGHT**2 + self.count_weight**2))))
        others = WEIGHT * math.sqrt(self.n_landmarks) + self.count_weight
        return max(1, math.floor(share * others / math.sqrt(self.n_probes)))

    @property
    def weighted(self) -> Weighted:
        """Both, each with its weight."""
        features, probes = self.blocks
        return Weighted((features, probes), (WEIGHT, self.probe_weight))

    @property
    def size(self) -> int:
        """As Recipe: of the noisy numbers."""
        return self.n_landmarks + self.n_probes + 1

    @property
    def count_norm(self) -> int:
        """As Recipe."""
        return self.count_weight * 2**BITS

    @property
    def features_l1(self) -> int:
        """As Recipe."""
        return self.weighted.l1(self.request.terms.neighbours)

    @property
    def features_l2_squared(self) -> int:
        """As Recipe."""
        return self.weighted.l2_squared(self.request.terms.neighbours)

    @property
    def noise_error(self) -> float:
        """At a landmark; elsewhere it is abs(phi(y)) times this, which is less."""
        return self.deviation / (WEIGHT * 2**BITS)

    @property
    def probe_noise(self) -> float:
        """At most the standard deviation of what noise adds to the difference at a probe."""
        return self.deviation * math.hypot(1 / WEIGHT, 1 / self.probe_weight) / 2**BITS

    @property
    def approximation_error_per_record(self) -> float:
        """No more than 1, as kernel values are: nothing else is known of it before it is measured."""
        return 1.0

    @property
    def flops_per_record(self) -> int:
        """As Recipe."""
        d, sizes = self.request.terms.domain.d, (self.n_landmarks, self.n_probes)
        return sum(size * (2 * d + 40 + size) for size in sizes)

    @property
    def table_bytes(self) -> int:
        """As Recipe."""
        return 8 * sum(
            size * (4 * size + 4 * self.request.terms.domain.d) for size in (self.n_landmarks, self.n_probes)
        )

    def parameters(self) -> dict[str, Any]:
        """As Recipe."""
        return {
            "n_landmarks": self.n_landmarks,
            "n_probes": self.n_probes,
            "bits": BITS,
            "feature_weight": WEIGHT,
            "probe_weight": self.probe_weight,
            "count_weight": self.count_weight,
        }

    @classmethod
    def size_of(cls, parameters: Mapping[str, Any]) -> int:
        """As Recipe."""
        d, n_landmarks, n_probes = (len(parameters["box"]["low"]), *_sizes(parameters))
        return n_landmarks * (d + 2) + n_probes * (d + 1) + 1

    @classmethod
    def query_cost(cls, parameters: Mapping[str, Any], n: int) -> tuple[int, int]:
        """As Recipe."""
        d, (n_landmarks, _) = len(parameters["box"]["low"]), _sizes(parameters)
        held = 8 * (2 * cls.size_of(parameters) + n * d)
        return n * n_landmarks * (3 * d + 60), held + 64 * max(VALUES_AT_ONCE, n_landmarks)

    @classmethod
    def remark(cls, parameters: Mapping[str, Any]) -> str:
        """Whether the landmarks fit."""
        return f"\n{FIT_WORDS[parameters['landmarks_fit']]} (error {parameters['approximation_error']:.3g})"

    @classmethod
    def estimates(cls, vector: Floats, parameters: Mapping[str, Any], points: Floats) -> Estimates:
        """The noise error is at most this much; the approximation error was measured at the probes, noise included."""
        parts, spectrum = parts_of(vector, parameters), parameters["spectrum"]
        box, scale = Box(**parameters["box"]), np.array(parameters["scale"])
        sums = sums_at(spectrum, scale, box, points, parts.landmarks, parts.weights)
        records = parts.records / (parameters["count_weight"] * 2.0 ** parameters["bits"])
        errors = (float(parameters[name]) for name in ("noise_error", "approximation_error"))
        return Estimates(sums, records, *(np.full(len(points), one) for one in errors))


def sums_at(
    spectrum: Spectrum, scale: Floats | float, bounds: Bounds, points: Floats, landmarks: Floats, weights: Floats
) -> Floats:
    """(n,): sum_a k(y, z_a) w_a at points in the bounds, some of them at a time."""
    centres, step = scaled(spectrum, scale, landmarks), max(1, VALUES_AT_ONCE // len(landmarks))
    moved = scaled(spectrum, scale, clean(bounds, points))
    parts = [kernel_values(spectrum, moved[i : i + step], centres) for i in range(0, len(points), step)]
    return np.concatenate([folded(part * weights) for part in parts])


def parts_of(vector: Floats, parameters: Mapping[str, Any]) -> Parts:
    """What the array of a release consists of."""
    box, (n_landmarks, n_probes) = Box(**parameters["box"]), _sizes(parameters)
    ends = np.cumsum([n_landmarks, n_probes, 1, n_landmarks, n_landmarks * box.d])
    features, probes, records, weights, landmarks, probed = np.split(vector, ends)
    at = (points_at(box, positions.reshape(-1, box.d)) for positions in (landmarks, probed))
    return Parts(features, probes, int(records[0]), weights.view(np.float64), *at)


def on_grid(box: Box, points: Floats) -> Floats:
    """Points as a release states them."""
    return points_at(box, grid(box, clean(box, points)))


def default_probes(box: Box, landmarks: Floats, count: int, seed: int) -> Floats:
    """(count, d): where landmarks fail, by a public seed, as nothing is known of the records.

    In turn: uniform in the box; on its diagonal, where records lie whose numbers are all alike; and one landmark
    mirrored in another and moved into the box, which is where the landmarks end.
    """
    rng = np.random.Generator(np.random.Philox(key=seed))
    low, high = np.array(box.low), np.array(box.high)
    first, second = landmarks[rng.integers(len(landmarks), size=(2, count))]
    uniform, diagonal = (low + (high - low) * rng.random((count, wide)) for wide in (box.d, 1))
    turn = np.arange(count)[:, None] % 3
    return clean(box, np.where(turn == 0, uniform, np.where(turn == 1, diagonal, 2 * first - second)))


def fit(probe_error: float, probe_noise: float, probe_level: float) -> bool | None:
    """Whether the landmarks fit the data; None where there is too little at the probes to tell.

    Args:
        probe_error: Measured root mean square error at the probes, noise included.
        probe_noise: What the noise explains of it.
        probe_level: Root mean square kernel sum at the probes, as measured.
    """
    if probe_error > NOISE_FACTOR * probe_noise and probe_error > FIT_PART * probe_level:
        return False
    return True if probe_level > NOISE_FACTOR * probe_noise else None


FIT_WORDS: dict[bool | None, str] = {
    True: "the landmarks fit the data at the probes",
    False: "THE LANDMARKS DO NOT FIT THE DATA: at the probes the error is far more than noise; take others",
    None: "whether the landmarks fit is unknown: at the probes there is hardly any data; give others",
}


def _sizes(parameters: Mapping[str, Any]) -> tuple[int, int]:
    return int(parameters["n_landmarks"]), int(parameters["n_probes"])
