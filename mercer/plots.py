"""Pictures of results. The only file that needs matplotlib, and only when a picture is asked for."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

MAX_PIXELS = 1_000
"""Along each side: more cells than that cannot be told apart in the picture."""


FIRST_COUNT = 5
"""Of values, at which a running mean begins."""
MAX_CLOUDS = 5
"""Side by side."""


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


def clouds(
    snapshots: np.ndarray[Any, Any],
    path: str | os.PathLike[str],
    *,
    titles: Sequence[str],
    target: np.ndarray[Any, Any] | None = None,
) -> Path:
    """Save a picture of clouds of points, shape (S, n, d), side by side; the suffix says the format.

    At most MAX_CLOUDS of them, evenly spread and with the last, in the first three of their coordinates; points on a
    line are shown as histograms.

    Args:
        snapshots: The clouds.
        path: Of the picture.
        titles: One for each cloud.
        target: Another cloud, shape (m, d), shown in grey behind each.

    Raises:
        PlotsNotInstalled: matplotlib is missing.
    """
    require()
    from matplotlib.figure import Figure

    shown = evenly(len(snapshots), MAX_CLOUDS)
    dimensions = min(3, snapshots.shape[2])
    figure = Figure(figsize=(3.2 * len(shown), 3.2), layout="constrained")
    panels = figure.subplots(
        1, len(shown), squeeze=False, sharex=dimensions < 3, subplot_kw={"projection": "3d"} if dimensions == 3 else {}
    )[0]
    for axes, index in zip(panels, shown, strict=True):
        if target is not None:
            _cloud(axes, target[:, :dimensions], color="0.7")
        _cloud(axes, snapshots[index][:, :dimensions], color="C0")
        axes.set_title(titles[index], fontsize=9)
    figure.savefig(path, dpi=100)
    return Path(path)


def _cloud(axes: Any, points: np.ndarray[Any, Any], color: str) -> None:
    """Of one to three dimensions."""
    if points.shape[1] == 1:
        axes.hist(points[:, 0], bins=min(50, len(points)), color=color, alpha=0.7)
    else:
        axes.scatter(*points.T, s=2, color=color)
        axes.set_aspect("equal")


def evenly(count: int, limit: int) -> list[int]:
    """At most so many of the indices below `count`, evenly spread, the last among them."""
    kept = min(count, limit)
    return [count * place // kept - 1 for place in range(1, kept + 1)]


class Final(NamedTuple):
    """An estimate, and how sure it is."""

    value: float
    interval: tuple[float, float] | None
    directions: int
    """That it took."""


def convergence(values: np.ndarray[Any, Any], path: str | os.PathLike[str], *, final: Final, title: str = "") -> Path:
    """Save a picture of an estimate and its 95 % interval against the number of directions; the suffix says the format.

    Args:
        values: (R,) independent means, whose running mean is shown with its interval: one for each direction, or for
            each replicate of a rule of several. Fewer than two are not shown.
        path: Of the picture.
        final: The estimate, shown at the end and as a line.
        title: Above the picture.

    Raises:
        PlotsNotInstalled: matplotlib is missing.
    """
    require()
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6.4, 4.0), layout="constrained")
    axes = figure.subplots()
    if len(values) > 1:
        counts, means, half_widths = running(values)
        directions = counts * final.directions / len(values)
        axes.fill_between(directions, means - half_widths, means + half_widths, alpha=0.3, label="its 95 % interval")
        axes.plot(directions, means, label="mean of the costs so far")
        axes.set_xscale("log" if counts[-1] > 10 * counts[0] else "linear")
    low, high = final.interval or (final.value, final.value)
    bars = [[final.value - low], [high - final.value]]
    axes.errorbar([final.directions], [final.value], bars, fmt="o", color="C1", capsize=4, label="estimate")
    axes.axhline(final.value, color="C1", linewidth=0.5)
    axes.set_xlabel("directions")
    axes.set_ylabel("$SW_p^p$")
    axes.legend()
    axes.set_title(title, fontsize=9, wrap=True)
    figure.savefig(path, dpi=150)
    return Path(path)


def running(values: np.ndarray[Any, Any]) -> tuple[np.ndarray[Any, Any], ...]:
    """Counts, the means of the first so many values, and the half widths of their 95 % intervals; at least two values.

    The first few are left out where there are more: their intervals are so wide that nothing else could be seen.
    """
    counts = np.arange(1, len(values) + 1)
    means = np.cumsum(values) / counts
    # Sums of squares about the running means, each from the one before, which loses no digits (Welford, 1962).
    squares = np.cumsum((values - np.concatenate([values[:1], means[:-1]])) * (values - means))
    first = min(FIRST_COUNT, len(values)) - 1
    kept = counts[first:]
    return kept, means[first:], student_t(kept - 1) * np.sqrt(squares[first:] / (kept * (kept - 1)))


def student_t(dof: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    """The 0.975 quantile of Student's t, to 0.2 %: from 3 degrees on Abramowitz and Stegun (1964), 26.7.5."""
    z = 1.959963984540054
    terms = (
        (z**3 + z) / 4,
        (5 * z**5 + 16 * z**3 + 3 * z) / 96,
        (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384,
        (79 * z**9 + 776 * z**7 + 1482 * z**5 - 1920 * z**3 - 945 * z) / 92_160,
    )
    many = z + sum(term / dof**power for power, term in enumerate(terms, 1))
    return np.where(dof == 1, 12.7062, np.where(dof == 2, 4.3027, many))


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


def histogram(
    values: np.ndarray[Any, Any], path: str | os.PathLike[str], *, mark: float, label: str, title: str = ""
) -> Path:
    """Save a histogram of values, shape (n,), with one more marked by a line; the suffix says the format.

    Raises:
        PlotsNotInstalled: matplotlib is missing.
    """
    require()
    from matplotlib.figure import Figure

    figure = Figure(figsize=(6.4, 4.0), layout="constrained")
    axes = figure.subplots()
    # Not "auto": with many equal values it asks for more bins than memory holds.
    axes.hist(values, bins=min(50, max(10, math.isqrt(len(values)))), color="0.7")
    axes.axvline(mark, color="C3", label=f"{label} = {mark:.4g}")
    axes.legend()
    axes.set_ylabel("permutations")
    axes.set_title(title, fontsize=9, wrap=True)
    figure.savefig(path, dpi=150)
    return Path(path)
