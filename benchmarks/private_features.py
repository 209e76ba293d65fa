"""Exact sums of features beside NumPy: `python -m benchmarks.private_features [--rounds 2] [--save]`.

265,000 records of 64 dimensions. Random Fourier features: the integer sums of 1,024 frequencies, and by NumPy, in the
same chunks, the product with the frequencies, cosines and sines, 2^q times them truncated, and the int64 sums; `floats`
leaves the integers out and adds up float64. Landmark features: by NumPy the distances through a matrix product, the
exponentials, and the product with the inverse factor. In turn; the best round of each counts.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from benchmarks.gram import in_turn
from benchmarks.report import save, table
from gpu.device import Device
from gpu.leaves import Floats
from gpu.private.fourier import FourierSums
from gpu.private.landmarks import LandmarkSums
from gpu.private.pipeline import CHUNK, exact_sums
from mercer.privacy.fourier import FourierFeatures
from mercer.privacy.sensitivity import Blocks

N_RECORDS, D, M, N_LANDMARKS = 265_000, 64, 1_024, 500
BITS, SCALE = 20, 2.0


class Box(NamedTuple):
    """The unit cube."""

    low: tuple[float, ...] = (0.0,) * D
    high: tuple[float, ...] = (1.0,) * D


def main() -> None:
    """Measures, prints, and with --save keeps the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--save", action="store_true", help="keep the figures in benchmarks/results/")
    arguments = parser.parse_args()
    records, device = np.random.default_rng(1).random((N_RECORDS, D)), Device("cpu")
    rows = [fourier(records, device, arguments.rounds), landmarks(records, device, arguments.rounds)]
    print(table(list(rows[0]), [list(row.values()) for row in rows]))
    if arguments.save:
        print(save("private_features", {"rows": rows}))


def fourier(records: Floats, device: Device, rounds: int) -> dict[str, Any]:
    """1,024 frequencies."""
    sums = FourierSums(FourierFeatures.draw("gaussian", SCALE, Box(), M, 1), Blocks(M, 2, BITS))
    frequencies = np.random.default_rng(2).normal(size=(D, M)) / SCALE

    def values(chunk: Floats) -> Floats:
        phases = chunk @ frequencies
        return np.concatenate([np.cos(phases), np.sin(phases)], axis=1)

    return measured("fourier m=1024", sums, values, records, device, rounds)


def landmarks(records: Floats, device: Device, rounds: int) -> dict[str, Any]:
    """500 landmarks."""
    centres = np.random.default_rng(3).random((N_LANDMARKS, D))
    sums = LandmarkSums(Box(), "gaussian", SCALE, centres, BITS)
    inverse = np.linalg.inv(np.linalg.cholesky(gaussian(centres, centres) + 1e-7 * np.eye(N_LANDMARKS)))
    return measured("landmarks 500", sums, lambda chunk: gaussian(chunk, centres) @ inverse.T, records, device, rounds)


def gaussian(x: Floats, y: Floats) -> Floats:
    """The best that a few NumPy calls do."""
    squares = (x**2).sum(axis=1)[:, None] + (y**2).sum(axis=1) - 2 * (x @ y.T)
    squares *= -0.5 / SCALE**2
    return np.exp(squares, out=squares)


def measured(
    name: str,
    sums: FourierSums | LandmarkSums,
    values: Callable[[Floats], Floats],
    records: Floats,
    device: Device,
    rounds: int,
) -> dict[str, Any]:
    """Ours, and NumPy's with integers and without."""
    chunks = [records[start : start + CHUNK] for start in range(0, len(records), CHUNK)]

    def ours() -> Floats:
        return exact_sums(sums, records, device)

    def integers() -> Floats:
        return sum(np.trunc(values(chunk) * 2.0**BITS).astype(np.int64).sum(axis=0) for chunk in chunks)

    def floats() -> Floats:
        return sum(values(chunk).sum(axis=0) for chunk in chunks)

    exact_sums(sums, records[:10], device)
    own, whole, plain = in_turn([ours, integers, floats], rounds)
    return {
        "features": name,
        "ours s": own.wall_s,
        "NumPy s": whole.wall_s,
        "floats s": plain.wall_s,
        "ratio": whole.wall_s / own.wall_s,
        "ours CPU s": own.cpu_s,
        "NumPy CPU s": whole.cpu_s,
        "ratio CPU": whole.cpu_s / own.cpu_s,
        "floats CPU": plain.cpu_s / own.cpu_s,
    }


if __name__ == "__main__":
    main()
