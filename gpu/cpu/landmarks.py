"""Features of landmarks: a triangular matrix times kernel values, summed for each record in one fixed order."""

from __future__ import annotations

import numpy as np

from gpu.cpu.elementary import exp_negative
from gpu.cpu.intrinsics import fma
from gpu.cpu.jit import inner, outer
from gpu.leaves import Floats

LANES = 64
"""Records that are computed side by side; what is computed for one does not depend on the others."""
UNROLLED = 4


@outer
def landmarks(points: Floats, centres: Floats, inverse: Floats, function: int, absolute: bool, out: Floats) -> None:
    """Write k(points, centres) inverse^T to out.

    Args:
        points: (n, d) float64.
        centres: (D, d) float64, D a multiple of UNROLLED.
        inverse: (D, D) float64, lower triangular.
        function: Of the base b: e^-b, e^(-sqrt b), 1 / (1 + b), 1 / (1 + sqrt b), from 0.
        absolute: Whether b is the sum of absolute differences, and not of squares.
        out: (n, D) float64.
    """
    size, d = centres.shape
    x, k, features = np.empty((d, LANES)), np.empty((size, LANES)), np.empty(LANES)
    for start in range(0, len(points), LANES):
        rows = min(LANES, len(points) - start)
        for lane in range(LANES):
            x[:, lane] = points[start + min(lane, rows - 1)]
        for a in range(size):
            _kernel(x, centres[a], function, absolute, k[a])
        for a in range(size):
            features[:] = 0.0
            for b in range(0, a + 1, UNROLLED):
                _products(inverse[a], k, b, features)
            for lane in range(rows):
                out[start + lane, a] = features[lane]


@inner
def _kernel(x: Floats, centre: Floats, function: int, absolute: bool, out: Floats) -> None:
    out[:] = 0.0
    for j in range(len(centre)):
        z, row = centre[j], x[j]
        if absolute:
            for lane in range(LANES):
                out[lane] += abs(row[lane] - z)
        else:
            for lane in range(LANES):
                out[lane] = fma(row[lane] - z, row[lane] - z, out[lane])
    for lane in range(LANES):
        b = np.sqrt(out[lane]) if function & 1 else out[lane]
        out[lane] = 1.0 / (1.0 + b) if function & 2 else exp_negative(-b)


@inner
def _products(row: Floats, k: Floats, b: int, out: Floats) -> None:
    r0, r1, r2, r3 = row[b], row[b + 1], row[b + 2], row[b + 3]
    k0, k1, k2, k3 = k[b], k[b + 1], k[b + 2], k[b + 3]
    for lane in range(LANES):
        out[lane] = fma(r3, k3[lane], fma(r2, k2[lane], fma(r1, k1[lane], fma(r0, k0[lane], out[lane]))))
