"""Kernel sums by the frequencies of a lattice, weighted so that the noise is least: up to three dimensions.

The kernel function is g(z) = C_0 + sum_k C_k cos(w_k z) on a torus, C_k > 0 (mercer.privacy.lattice). A record's
features are A_k cos(w_k x), A_k sin(w_k x) and A_0 with integer weights A; with their sums S_c, S_s and S_0, the kernel
sum at y is (C_0 / A_0) S_0 + sum_k (C_k / A_k) (cos(w_k y) S_ck + sin(w_k y) S_sk), the number of records S_0 / A_0.
docs/privacy.md derives the weights: A_k is proportional to C_k^(1/2) for Gaussian noise and to (C_k^2 / s_k)^(1/3) for
Laplace noise, s_k = sqrt 2 and s_0 = 1, with a larger A_0 for the sake of the number of records.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any, ClassVar, NamedTuple, Self

import numpy as np

from mercer.errors import InvalidArray
from mercer.privacy.accounting import sigma
from mercer.privacy.fourier import FourierFeatures, Spectrum
from mercer.privacy.grid import GRID_BITS, Bounds, Floats, clean, half_widths
from mercer.privacy.lattice import MAX_SCALE, Series, family, series, steepest, supported, turns_to_try, wrapped
from mercer.privacy.products import POINTS_AT_ONCE, products
from mercer.privacy.recipe import Estimates, Recipe, Request
from mercer.privacy.sensitivity import RECORDS, Pairs
from mercer.privacy.terms import Box

BITS = 24
"""The largest weight is the integer 2^24."""
GAIN_BITS = 26
"""Of what answers multiply with: sums of 2^15 products with 21 bits fit 62."""
LIMB_BITS = 21
COUNTED = 1 / 16
"""Weights are those for sums f - COUNTED n: with C_0 alone the number of records, which means are divided by, would be
known badly. The noise in sums grows by 1 to 3 %, that in their number falls to a half or less."""
MOST_FREQUENCIES = 4_096
"""Unless asked for."""
MOST = 2**14
"""That can be asked for."""
ENOUGH = 1.01
"""As few frequencies are taken as have an error within 1 % of the least."""
ROUNDING = 1e-12
"""More than what float64 errs by in sums of coefficients."""
PLACES = 64
"""Of a dimension of the box, at which errors are predicted."""


class Lattice(NamedTuple):
    """Frequencies, weights and gains: public integers."""

    frequencies: Floats
    """(m, d) int64."""
    weights: Floats
    """(m + 1,) int64: A_k, and A_0 last."""
    gains: Floats
    """(m + 1,) int64: C_k / A_k in `unit`, and C_0 / A_0 last."""
    unit: float
    dropped: float
    """The sum of the coefficients that are left out."""
    rounded: float
    """By how much truncated features and rounded gains change a record's kernel value, at most."""

    def sha256(self) -> str:
        """Of all integers, in hex."""
        parts = [np.ascontiguousarray(one, "<i8").tobytes() for one in (self.frequencies, self.weights, self.gains)]
        return hashlib.sha256(b"".join(parts)).hexdigest()


def lattice(found: Series, m: int, pure: bool) -> Lattice:
    """The m largest coefficients of a series, with weights for Laplace noise or for Gaussian noise."""
    m = min(m, len(found.coefficients))
    coefficients = np.append(found.coefficients[:m], found.constant)
    shapes = np.append(np.full(m, math.sqrt(2)), 1.0)
    wanted = np.append(coefficients[:-1], math.hypot(found.constant, COUNTED))
    ideal = (wanted**2 / shapes) ** (1 / 3) if pure else np.sqrt(wanted)
    weights = np.maximum(1, np.floor(ideal / ideal.max() * 2.0**BITS)).astype(np.int64)
    exact = coefficients / weights
    unit = float(exact.max()) * 2.0**-GAIN_BITS
    gains = np.rint(exact / unit).astype(np.int64)
    dropped = max(0.0, found.total - float(coefficients.sum())) + ROUNDING
    # Truncation moves each number of a pair by less than 1, rounding each product of a gain by at most 1 unit.
    rounded = math.sqrt(2) * float(exact.sum()) + math.sqrt(2) * unit * float(weights.sum())
    return Lattice(found.frequencies[:m], weights, gains, unit, dropped, rounded)


@dataclass(frozen=True)
class SpectralRecipe(Recipe):
    """m frequencies of a lattice: 2 m features, and the constant one, which belongs to the series too."""

    name: ClassVar[str] = "spectral"
    title: ClassVar[str] = "a Fourier series on a torus"
    stated: ClassVar[frozenset[str]] = frozenset(
        ("scale", "spectrum", "n_features", "turns", "lattice_sha256", "count_norm", "answer_unit")
    )

    turns: tuple[int, ...]
    m: int

    @classmethod
    def of(cls, request: Request) -> Self:
        """With the period and the number of frequencies that err least."""
        d, scales = request.terms.domain.d, scales_of(request.scale, request.terms.domain)
        if not supported(family(request.spectrum, d), d):
            raise ValueError(
                "expected at most 3 dimensions, and a gaussian, laplacian_l1 or rational l1 kernel function, or in "
                "one dimension an exponential or a rational l2 one"
            )
        if max(scales) > MAX_SCALE:
            raise ValueError(f"expected lengthscales of at most {MAX_SCALE:g} sides of the domain")
        turns, m = _best(request)
        return cls(request, turns, m)

    @cached_property
    def lattice(self) -> Lattice:
        """What features are computed of."""
        return lattice(_series(self.request, self.turns), self.m, not self.request.delta)

    def features(self) -> FourierFeatures:
        """The frequencies as turns."""
        return features_on(self.request.terms.domain, self.lattice.frequencies, self.turns)

    @property
    def blocks(self) -> Pairs:
        """The cosine and the sine of each frequency."""
        return Pairs(tuple(self.lattice.weights[:-1].tolist()))

    @property
    def size(self) -> int:
        """As Recipe."""
        return 2 * self.m + 1

    @property
    def count_norm(self) -> int:
        """As Recipe."""
        return int(self.lattice.weights[-1])

    @cached_property
    def features_l1(self) -> int:
        """As Recipe."""
        return self.blocks.l1(self.request.terms.neighbours)

    @cached_property
    def features_l2_squared(self) -> int:
        """As Recipe."""
        return self.blocks.l2_squared(self.request.terms.neighbours)

    @property
    def noise_error(self) -> float:
        """The same at every point, as cos^2 + sin^2 = 1."""
        return self.deviation * self.lattice.unit * float(np.sqrt((self.lattice.gains.astype(np.float64) ** 2).sum()))

    @property
    def approximation_error_per_record(self) -> float:
        """At most, over points in the box: all records may be where the error is largest."""
        return self.lattice.dropped + self.lattice.rounded + _mean_wrap(self.request, self.turns)

    @property
    def flops_per_record(self) -> int:
        """As Recipe."""
        return 2 * self.m * (self.request.terms.domain.d + 20)

    @property
    def table_bytes(self) -> int:
        """As Recipe."""
        return 2**24 + 32 * (self.request.terms.domain.d + 8) * self.m

    def parameters(self) -> dict[str, Any]:
        """As Recipe."""
        return {
            "n_features": self.m,
            "turns": self.turns,
            "lattice_sha256": self.lattice.sha256(),
            "bits": BITS,
            "count_norm": self.count_norm,
            "answer_unit": self.lattice.unit,
            "dropped": self.lattice.dropped,
        }

    @classmethod
    def size_of(cls, parameters: Mapping[str, Any]) -> int:
        """As Recipe."""
        return 2 * int(parameters["n_features"]) + 1

    @classmethod
    def estimates(cls, vector: Floats, parameters: Mapping[str, Any], points: Floats) -> Estimates:
        """The approximation error is a bound that holds with the noise's probability of 98 %, that of the count.

        It is n times the coefficients that are left out, what is wrapped at the point's distance from the box's far
        sides, the rounding of features, and the grid's steps; n as released and twice its error more.
        """
        known, lengths = parameters, scales_of(parameters["scale"], Box(**parameters["box"]))
        made, box = _restored(known, lengths), Box(**known["box"])
        features = features_on(box, made.frequencies, known["turns"])
        gains = np.concatenate([made.gains[:-1], made.gains[:-1]]).astype(np.float64)
        sums, errors = np.empty(len(points)), np.empty(len(points))
        constant = np.array([[made.gains[-1]]])
        kind = family(known["spectrum"], box.d)
        fixed = made.dropped + made.rounded + steepest(kind, lengths) * 2.0**-GRID_BITS
        for start in range(0, len(points), POINTS_AT_ONCE):
            some = points[start : start + POINTS_AT_ONCE]
            integers = np.rint(features.values(some) * gains).astype(np.int64)
            answered = products(integers, vector[:-1], LIMB_BITS) + products(constant, vector[-1:], LIMB_BITS)
            sums[start : start + len(some)] = answered * made.unit
            place = (clean(box, some) / 2 - np.array(box.low) / 2) / half_widths(box)
            reach = np.maximum(place, 1 - place)
            errors[start : start + len(some)] = fixed + wrapped(kind, lengths, known["turns"], reach)
        records = float(vector[-1]) / known["count_norm"]
        most = max(records, 0.0) + 2 * known["count_error"]
        return Estimates(sums, records, np.full(len(points), float(known["noise_error"])), most * errors)


def scales_of(scale: float | Sequence[float], box: Bounds) -> tuple[float, ...]:
    """(d,) lengthscales in sides of the box."""
    half = np.broadcast_to(np.asarray(scale, np.float64) / 2, len(box.low))
    return tuple((half / half_widths(box)).tolist())


def features_on(box: Bounds, frequencies: Floats, turns: Sequence[int]) -> FourierFeatures:
    """Frequencies of a torus, as those of random features are."""
    return FourierFeatures(box, np.mod(frequencies * np.array(turns), 2**32).T.astype(np.uint32))


def _series(request: Request, turns: tuple[int, ...]) -> Series:
    box = request.terms.domain
    return _cached_series(family(request.spectrum, box.d), scales_of(request.scale, box), turns)


@lru_cache(maxsize=32)
def _cached_series(spectrum: Spectrum, scales: tuple[float, ...], turns: tuple[int, ...]) -> Series:
    whole = series(spectrum, scales, turns)
    return whole._replace(frequencies=whole.frequencies[:MOST], coefficients=whole.coefficients[:MOST])


@lru_cache(maxsize=256)
def _best(request: Request) -> tuple[tuple[int, ...], int]:
    """The turns and the number of frequencies with the least error, and within 1 % of it the fewest."""
    box, most = request.terms.domain, request.n_features or MOST_FREQUENCIES
    tried = []
    for turns in turns_to_try(request.spectrum, scales_of(request.scale, box)):
        found = _series(request, turns)
        bias = _dropped(found)[: most + 1] + _mean_wrap(request, turns)
        errors = np.hypot(_noise(request, found)[: most + 1], request.terms.max_records * bias)
        m = max(1, int(np.argmax(errors <= ENOUGH * errors.min())))
        tried.append((float(errors.min()), turns, m))
    _, turns, m = min(tried)
    return turns, m


def _dropped(found: Series) -> Floats:
    """(m + 1,): what is left out when so many are kept, from 0 on."""
    kept = found.constant + np.append(0.0, np.cumsum(found.coefficients))
    return np.maximum(found.total - kept, 0.0)


def _noise(request: Request, found: Series) -> Floats:
    """(m + 1,): standard deviation of the noise in a sum when so many are kept, from 0 on, with the best weights."""
    moved, constant = RECORDS[request.terms.neighbours], math.hypot(found.constant, COUNTED)
    if request.delta:
        pairs = np.append(0.0, np.cumsum(found.coefficients))
        noise = np.sqrt((pairs + constant) * (pairs + found.constant**2 / constant))
        return moved * sigma(request.epsilon, request.delta) * noise
    pairs, weight = np.append(0.0, np.cumsum((math.sqrt(2) * found.coefficients) ** (2 / 3))), constant ** (2 / 3)
    noise = (pairs + weight) * np.sqrt(pairs + (found.constant / weight) ** 2)
    return moved * math.sqrt(2) / request.epsilon * noise


def _mean_wrap(request: Request, turns: tuple[int, ...]) -> float:
    """Root mean square of what is wrapped over points in the box: at most the sum of the dimensions' own."""
    box = request.terms.domain
    reach = (1 - (np.arange(PLACES) + 0.5) / (2 * PLACES))[:, None]
    scales, kind = scales_of(request.scale, box), family(request.spectrum, box.d)
    each = [wrapped(kind, [scale], [turn], reach) for scale, turn in zip(scales, turns, strict=True)]
    return float(sum(np.sqrt((one**2).mean()) for one in each))


def _restored(parameters: Mapping[str, Any], scales: tuple[float, ...]) -> Lattice:
    """The lattice of a release, computed again.

    Raises:
        InvalidArray: it is not the one that the release was made with.
    """
    known = parameters
    found = _cached_series(family(known["spectrum"], len(scales)), scales, tuple(known["turns"]))
    made = lattice(found, known["n_features"], not known["spent"]["delta"])
    if made.sha256() != known["lattice_sha256"]:
        raise InvalidArray("expected the lattice of the release; this machine's exponentials are rounded otherwise")
    return made._replace(unit=known["answer_unit"])
