"""A release of kernel sums: integers with noise, and how they answer for any point, bit for bit on every machine.

The released vector is S = sum_i I(x_i) + noise, I the truncated features of a record: 2^q times m cosines, m sines and
a constant w. The kernel sum at y is estimated by (1/m) sum_j (S_cj I_cj(y) + S_sj I_sj(y)) / 4^q, the number of records
by S_w / (w 2^q). Integers up to 2^62 are multiplied in two halves, so that no sum is rounded before the last one.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from mercer.arrays import npy_sha256
from mercer.errors import InvalidArray
from mercer.points import ReleaseReference
from mercer.privacy.fourier import FourierFeatures
from mercer.privacy.grid import Floats
from mercer.privacy.terms import Box

POINTS_AT_ONCE = 1_024
HALF_BITS = 31
WIDEST = 1.02
"""The variance (1 + k(2z)) / 2 - k(z)^2 of a frequency is at most 1/2; for rational kernel functions 2 % more."""

NEEDED = frozenset(
    (
        *("release", "vector_sha256", "kernel", "spent", "box", "scale", "spectrum", "n_features", "feature_seed"),
        *("frequencies_sha256", "bits", "count_weight", "noise_error", "count_error"),
    )
)
"""What a release must state to answer and to be shown."""


class DensityAnswer(NamedTuple):
    """Estimates at some points, and how far they may be off."""

    sums: Floats
    """(n,) of the kernel over all records."""
    means: Floats
    """(n,) sums over the number of records as released, at least 1."""
    records: float
    """The number of records as released."""
    noise_error: float
    """Standard deviation of the noise in every sum: exact, the same for all points."""
    approximation_error: float
    """A bound of the standard deviation of every sum over the frequencies, 1.02 n / sqrt(2 m), where n is the number of
    records as released and twice its error more."""

    def __str__(self) -> str:
        return (
            f"kernel sums at {len(self.sums)} points, over about {self.records:.0f} records\n"
            f"+- {self.noise_error:.3g} (noise) and at most {self.approximation_error:.3g} (random features)"
        )


@dataclass(frozen=True)
class DensityRelease:
    """Kernel sums of private records, paid for once: it answers for ever and costs nothing more."""

    vector: Floats = field(repr=False)
    """(2 m + 1,) int64."""
    parameters: dict[str, Any]
    """Public: the kernel function, the box, the frequencies' seed, what was spent, the noise."""

    @property
    def id(self) -> str:
        """Of the release."""
        return str(self.parameters["release"])

    @property
    def reference(self) -> ReleaseReference:
        """It, as a field of a spec."""
        return ReleaseReference(release=self.id)

    def __call__(self, points: Floats) -> DensityAnswer:
        """Estimates at points, shape (n, d), without asking anybody.

        Raises:
            InvalidArray: the points have not the dimensions of the box.
        """
        return answers(self.vector, self.parameters, np.asarray(points))

    def save(self, path: str | os.PathLike[str]) -> Path:
        """Write it into an .npz file, for `mercer.load_release`."""
        with Path(path).open("wb") as file:
            np.savez(file, vector=self.vector, parameters=np.array(json.dumps(self.parameters)))
        return Path(path)

    def __str__(self) -> str:
        known, spent = self.parameters, self.parameters["spent"]
        return (
            f"release {self.id}: {known['kernel']['family']} kernel, {known['n_features']} random frequencies\n"
            f"spent epsilon = {spent['epsilon']:g}, delta = {spent['delta']:g}\n"
            f"noise +- {known['noise_error']:.3g} in every sum, +- {known['count_error']:.3g} in the number of records"
        )


def load_release(path: str | os.PathLike[str]) -> DensityRelease:
    """A release that was saved.

    Raises:
        OSError: the file cannot be read.
        ValueError: it holds no release, or other numbers than were published.
    """
    data = BytesIO(Path(path).read_bytes())
    try:
        with np.load(data, allow_pickle=False) as file:
            release = DensityRelease(file["vector"], json.loads(str(file["parameters"])))
        whole = _is_whole(release)
    except Exception:  # noqa: BLE001 - the readers of zip, npy and JSON raise ten kinds of errors on crafted input
        raise ValueError("expected a file that DensityRelease.save wrote; this one cannot be read as such") from None
    if not whole:
        raise ValueError("expected the numbers and parameters of one release; in this file they do not fit each other")
    return release


def _is_whole(release: DensityRelease) -> bool:
    """Whether it can answer, with the numbers that were published."""
    vector, known = release.vector, release.parameters
    return (
        known.keys() >= NEEDED
        and vector.dtype == np.int64
        and vector.shape == (2 * known["n_features"] + 1,)
        and npy_sha256(vector) == known["vector_sha256"]
    )


def digest(drawn: FourierFeatures) -> str:
    """SHA-256 of the frequencies, in hex."""
    return hashlib.sha256(np.ascontiguousarray(drawn.turns, "<u4").tobytes()).hexdigest()


def features_of(parameters: dict[str, Any]) -> FourierFeatures:
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


def answers(vector: Floats, parameters: dict[str, Any], points: Floats) -> DensityAnswer:
    """What a release says of points, shape (n, d).

    Raises:
        InvalidArray: they have not the dimensions of the box.
    """
    d = len(parameters["box"]["low"])
    if points.ndim != 2 or points.shape[1] != d:
        raise InvalidArray(f"expected points of shape (n, {d}), got {points.shape}")
    drawn, unit = features_of(parameters), 2.0 ** parameters["bits"]
    sums = np.empty(len(points))
    for start in range(0, len(points), POINTS_AT_ONCE):
        values = drawn.values(points[start : start + POINTS_AT_ONCE])
        sums[start : start + len(values)] = _products(vector[:-1], values, unit) / (drawn.m * unit * unit)
    records = float(vector[-1]) / (parameters["count_weight"] * unit)
    most = max(records, 0.0) + 2 * parameters["count_error"]
    bound = WIDEST * most / math.sqrt(2 * drawn.m)
    return DensityAnswer(sums, sums / max(records, 1.0), records, parameters["noise_error"], bound)


def _products(vector: Floats, values: Floats, unit: float) -> Floats:
    """(n,): scalar products of integers, rounded once."""
    integers = np.trunc(values * unit).astype(np.int64)
    high, low = vector >> HALF_BITS, vector & (2**HALF_BITS - 1)
    return (integers @ high).astype(np.float64) * 2.0**HALF_BITS + (integers @ low).astype(np.float64)
