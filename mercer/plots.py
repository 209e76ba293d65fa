"""Pictures of results. The only file that needs matplotlib, and only when a picture is asked for."""

from __future__ import annotations

import math
import os
from pathlib import Path
from typing import Any

import numpy as np

MAX_PIXELS = 1_000
"""Along each side: more cells than that cannot be told apart in the picture."""


class PlotsNotInstalled(ImportError):
    """matplotlib is missing."""


def require() -> None:
    """Make sure that pictures can be made, before a long computation.

    Raises:
        PlotsNotInstalled: matplotlib is missing.
    """
    try:
        import matplotlib  # noqa: F401 - only whether it is there
    except ImportError:
        raise PlotsNotInstalled("pictures need matplotlib: pip install 'mercer[plot]'") from None


def heat_map(matrix: np.ndarray[Any, Any], path: str | os.PathLike[str], *, title: str = "") -> Path:
    """Save a picture of a matrix, shape (n, m), or of a diagonal, shape (n,); the suffix says the format.

    A large matrix is shown by the means of equal blocks; a np.memmap is read once, block of rows by block of rows.

    Raises:
        PlotsNotInstalled: matplotlib is missing.
    """
    require()
    from matplotlib.figure import Figure  # without pyplot: no window system, no global state

    figure = Figure(figsize=(6.4, 5.4), layout="constrained")
    axes = figure.subplots()
    if matrix.ndim == 1:
        axes.plot(matrix)
        axes.set_xlabel("i")
    else:
        n, m = matrix.shape
        image = axes.imshow(block_means(matrix), extent=(0, m, n, 0), aspect="equal" if n == m else "auto")
        figure.colorbar(image, ax=axes)
        axes.set_xlabel("j")
        axes.set_ylabel("i")
    axes.set_title(title, fontsize=9, wrap=True)
    figure.savefig(path, dpi=150)
    return Path(path)


def block_means(matrix: np.ndarray[Any, Any], limit: int = MAX_PIXELS) -> np.ndarray[Any, Any]:
    """A matrix of at most (limit, limit) entries: the means of equal blocks; those at the end may be smaller."""
    n, m = matrix.shape
    rows, columns = math.ceil(n / limit), math.ceil(m / limit)
    if rows == columns == 1:
        return np.asarray(matrix)
    starts = np.arange(0, m, columns)
    widths = np.diff(np.append(starts, m))
    means = [
        np.add.reduceat(matrix[start : start + rows].mean(axis=0, dtype=np.float64), starts) / widths
        for start in range(0, n, rows)
    ]
    return np.array(means)
