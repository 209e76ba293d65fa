"""`make demo`: the whole service once, on real data, and what it gives checked against the formula."""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

import mercer
from deploy.local import LocalService
from mercer import kernels as k
from mercer.plots import heat_map

ROOT = Path(__file__).resolve().parent.parent
DIGITS = ROOT / "examples" / "data" / "digits.csv"
PIXELS = range(64)
"""Columns p00 ... p63; the last one is the digit."""

RESULT_TIMEOUT_S = 120.0
"""The first start of a worker compiles for some seconds."""

SHOWN = ((0, 0), (0, 1), (3, 1000), (900, 42))
N_CHECKED = 1_000
TOLERANCE = 1e-12
"""What every family keeps to in float64."""

Array = np.ndarray[Any, Any]


def run(out: Path = ROOT / "demo") -> None:
    """Start everything, build the Gram matrix of the digits, check it, save it, stop everything.

    Args:
        out: The folder for gram.npy and gram.png.
    """
    pixels = np.loadtxt(DIGITS, delimiter=",", skiprows=1, usecols=PIXELS)
    lengthscale = _median_distance(pixels)
    with tempfile.TemporaryDirectory(prefix="mercer-demo-") as folder:
        service = LocalService(folder, logs=Path(folder) / "logs")
        try:
            with _step("start Valkey, the service and a worker"):
                service.start()
            with mercer.Client(service.url, api_key=service.root_key) as client:
                gram = _build(client, lengthscale)
        finally:
            with _step("stop them"):
                service.stop()
    _describe(gram)
    _check(gram, pixels, lengthscale)
    _save(gram, out, lengthscale)


def _build(client: mercer.Client, lengthscale: float) -> Array:
    with _step(f"upload {DIGITS.relative_to(ROOT)}"):
        digits = client.datasets.upload(DIGITS)
    print(f"  {digits.shape[0]:,} handwritten digits of 8 x 8 pixels, named {digits.digest[:19]}...")
    spec = mercer.Gram(kernel=k.Gaussian(lengthscale=lengthscale), x=digits.select(columns=PIXELS))
    print(f"  K[i, j] = exp(-||x_i - x_j||^2 / (2 l^2)), l = {lengthscale:.4g}: the median distance of two digits")
    with _step("wait for the worker, build the Gram matrix and fetch it"):
        job = client.submit(spec)
        gram = job.result(RESULT_TIMEOUT_S, progress=False)
    if (timings := job.record.timings) is not None:
        print(
            f"  job {job.id} on {job.record.device}: queued {timings.queued_ms:,.0f} ms,"
            f" computed {timings.compute_ms:,.0f} ms, read and stored {timings.transfer_ms:,.0f} ms"
        )
    return gram


def _describe(gram: Array) -> None:
    with _step("take it apart with NumPy"):
        smallest = np.linalg.eigvalsh(gram)[0]
    print(f"  K has shape {gram.shape}, {gram.dtype}, {gram.nbytes / 1e6:.1f} MB")
    print("  " + "  ".join(f"K[{i}, {j}] = {gram[i, j]:.6f}" for i, j in SHOWN))
    symmetric = np.array_equal(gram, gram.T)
    print(f"  trace {gram.trace():.6g}, exactly symmetric: {symmetric}, smallest eigenvalue {smallest:.2g}")


def _check(gram: Array, pixels: Array, lengthscale: float) -> None:
    """Compare entries with the formula.

    Raises:
        SystemExit: they differ by more than rounding.
    """
    rows, columns = np.random.default_rng(0).integers(len(gram), size=(2, N_CHECKED))
    expected = np.exp(-((pixels[rows] - pixels[columns]) ** 2).sum(1) / (2 * lengthscale**2))
    error = float(np.max(np.abs(gram[rows, columns] / expected - 1)))
    print(f"  {N_CHECKED:,} entries against the formula in NumPy: largest relative difference {error:.1e}")
    if not error < TOLERANCE:
        raise SystemExit("The Gram matrix is wrong: please report this.")


def _save(gram: Array, out: Path, lengthscale: float) -> None:
    with _step("save it and draw its heat map"):
        out.mkdir(parents=True, exist_ok=True)
        np.save(out / "gram.npy", gram)
        heat_map(
            gram, out / "gram.png", title=f"1,797 digits sorted by what they show, Gaussian, l = {lengthscale:.4g}"
        )
    print(f"  {os.path.relpath(out / 'gram.npy')}\n  {os.path.relpath(out / 'gram.png')}")


def _median_distance(points: Array) -> float:
    squares = (points**2).sum(1)
    squared = squares[:, None] + squares - 2 * points @ points.T
    upper = squared[np.triu_indices(len(points), 1)]
    return float(np.sqrt(np.median(upper)))


@contextmanager
def _step(name: str) -> Iterator[None]:
    """Say what is done, and afterwards how long it took."""
    print(f"{name} ...", end=" ", flush=True)
    started_s = time.perf_counter()
    try:
        yield
    finally:
        print(f"{time.perf_counter() - started_s:.2f} s", flush=True)
