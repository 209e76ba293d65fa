"""Directions on the sphere: drawn at random, in orthogonal frames, or as rules that are turned at random.

Everything is drawn on the host from counted streams, so that every device sees the same directions.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Literal, NamedTuple

import numpy as np
from scipy.integrate import lebedev_rule

from gpu.leaves import Floats

Sampling = Literal["mc", "orthogonal", "spiral", "lebedev", "equispaced"]

PI = math.pi
FEW = 43
"""Directions in a turned rule from which on four turns are better spent than two: the rule is exact to degree 15."""

LEBEDEV: dict[int, int] = {
    3: 3, 7: 5, 13: 7, 19: 9, 25: 11, 43: 15, 55: 17, 73: 19, 85: 21, 97: 23, 151: 29, 175: 31, 217: 35, 295: 41,
    385: 47, 487: 53, 601: 59, 727: 65, 865: 71, 1015: 77, 1177: 83, 1351: 89, 1537: 95, 1735: 101, 1945: 107,
    2167: 113, 2401: 119, 2647: 125, 2905: 131,
}  # fmt: skip
"""The degree to which a half rule of so many directions is exact; those of degrees 13, 25 and 27 have negative weights.

Lebedev and Laikov, A quadrature formula for the sphere of the 131st algebraic order of accuracy (1999).
"""


class Layout(NamedTuple):
    """How many directions there are: independent replicates of one size."""

    replicates: int
    size: int

    @property
    def n(self) -> int:
        """Directions in all."""
        return self.replicates * self.size


class Directions(NamedTuple):
    """A quadrature rule for the uniform distribution on the sphere, even integrands taken for granted."""

    rows: Floats
    """(L, d) float64, of length 1."""
    weights: Floats
    """(L,) >= 0 with sum 1; each replicate has the sum 1 / R."""
    replicates: int
    """R: so many blocks of L / R rows each, drawn independently of each other; R = L for single draws."""

    def means(self, values: Floats) -> Floats:
        """(R,): what each replicate makes of the integral of a function, given at the rows, (L,)."""
        return self.replicates * (self.weights * values).reshape(self.replicates, -1).sum(axis=1)

    def without_rows(self) -> Directions:
        """The weights alone, so that the rows' memory can go."""
        return self._replace(rows=self.rows[:0].copy())


def stream(seed: int, replicate: int = 0) -> np.random.Generator:
    """Random numbers that depend on the two numbers alone (Philox; Salmon et al., 2011)."""
    return np.random.Generator(np.random.Philox(key=np.array([seed, replicate], np.uint64)))


def layout(method: Sampling, d: int, n: int) -> Layout:
    """The replicates that come nearest to n directions; at least two, except of single draws.

    Orthogonal frames need d directions each: n is rounded up to a multiple of d.
    """
    if method == "mc":
        return Layout(n, 1)
    if method == "orthogonal":
        return Layout(max(2, -(-n // d)), d)
    # The errors of shifted grids are so much of one kind that two of them say almost nothing of their size.
    return turned(method, n, 2 if n < 4 * FEW and method != "equispaced" else 4)


def single(method: Sampling, d: int, n: int) -> Layout:
    """One turn of the rule that comes nearest to n directions, or as many frames as they take."""
    if method == "mc":
        return Layout(n, 1)
    return Layout(-(-n // d), d) if method == "orthogonal" else turned(method, n, 1)


def turned(method: Sampling, n: int, replicates: int) -> Layout:
    """The rule whose so many turns come nearest to n directions; more turns where there is no rule so large."""
    if method == "lebedev":
        replicates = max(replicates, -(-n // max(LEBEDEV)))
        return Layout(replicates, min(LEBEDEV, key=lambda size: abs(size * replicates - n)))
    size = max(1, round(n / replicates))
    # Pixels and other points on a lattice have kinks at right angles, which an odd number of steps meets in turn.
    return Layout(replicates, size | 1 if method == "equispaced" else size)


def directions(method: Sampling, d: int, n: int, rng: np.random.Generator) -> Directions:
    """About n directions in R^d; `layout` says how many exactly.

    mc: independent and uniform. orthogonal: frames of d orthogonal directions each, uniform (Rowland et al., Orthogonal
    estimation of Wasserstein distances, 2019). spiral: the generalised spiral (Rakhmanov, Saff and Zhou, 1994), d = 3.
    lebedev: one of each antipodal pair of a Lebedev rule, d = 3. equispaced: angles on the half circle, d = 2. The last
    three are turned at random, each replicate by itself, which makes every one unbiased.
    """
    return of_layout(method, d, layout(method, d, n), rng)


def of_layout(method: Sampling, d: int, shape: Layout, rng: np.random.Generator) -> Directions:
    """As `directions`, so many replicates of so many."""
    if method == "mc":
        return _equal(_uniform(shape.n, d, rng), shape.replicates)
    if method == "orthogonal":
        return _equal(frames(d, shape.replicates, rng).reshape(-1, d), shape.replicates)
    if method == "equispaced":
        return _equal(_angles(shape, rng), shape.replicates)
    rule, weights = RULES[method](shape.size)
    rows = (rule @ frames(3, shape.replicates, rng)).reshape(-1, 3)
    return Directions(unit(rows), np.tile(weights / shape.replicates, shape.replicates), shape.replicates)


def given(rows: Floats) -> Directions:
    """Directions that somebody else drew, taken as independent and uniform."""
    return _equal(np.ascontiguousarray(rows, np.float64), len(rows))


def joined(parts: Sequence[Directions]) -> Directions:
    """All replicates of several, which are of one size."""
    if len(parts) == 1:
        return parts[0]
    replicates = sum(part.replicates for part in parts)
    weights = [part.weights * (part.replicates / replicates) for part in parts]
    return Directions(np.concatenate([part.rows for part in parts]), np.concatenate(weights), replicates)


def frames(d: int, count: int, rng: np.random.Generator) -> Floats:
    """(count, d, d): orthogonal matrices, uniform over all of them.

    Mezzadri, How to generate random matrices from the classical compact groups (2007): QR with the signs of R's
    diagonal taken out.
    """
    q, r = np.linalg.qr(rng.standard_normal((count, d, d)))
    return q * np.sign(np.diagonal(r, axis1=1, axis2=2))[:, None, :]


def unit(rows: Floats) -> Floats:
    """Rows of length 1."""
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def _equal(rows: Floats, replicates: int) -> Directions:
    return Directions(rows, np.full(len(rows), 1 / len(rows)), replicates)


def _uniform(n: int, d: int, rng: np.random.Generator) -> Floats:
    return unit(rng.standard_normal((n, d)))


def _angles(shape: Layout, rng: np.random.Generator) -> Floats:
    """Half circles of equal steps, each begun at random."""
    angle = PI * (np.arange(shape.size) + rng.random((shape.replicates, 1))).ravel() / shape.size
    return np.stack([np.cos(angle), np.sin(angle)], axis=1)


@lru_cache(maxsize=32)  # SciPy takes milliseconds for the larger rules, and jobs of a batch ask for the same
def _lebedev(size: int) -> tuple[Floats, Floats]:
    points, weights = lebedev_rule(LEBEDEV[size])
    z, y, x = points[::-1]
    upper = (z > 0) | ((z == 0) & ((y > 0) | ((y == 0) & (x > 0))))
    return points.T[upper], weights[upper] / weights[upper].sum()


@lru_cache(maxsize=32)
def _spiral(size: int) -> tuple[Floats, Floats]:
    z = 1 - (2 * np.arange(size) + 1) / size
    polar = np.arccos(z)
    angle = 1.8 * math.sqrt(size) * polar
    rows = np.stack([np.sin(polar) * np.cos(angle), np.sin(polar) * np.sin(angle), z], axis=1)
    return rows, np.full(size, 1 / size)


RULES: dict[str, Callable[[int], tuple[Floats, Floats]]] = {"lebedev": _lebedev, "spiral": _spiral}
