"""What jobs answer that estimate a number: the number, and how far it can be trusted."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from mercer import plots


@dataclass(frozen=True)
class SlicedWassersteinEstimate:
    """An estimate of SW_p between two measures, and how far it can be trusted."""

    distance: float
    """SW_p."""
    power: float
    """SW_p^p, which is what the mean over directions estimates without bias."""
    distance_error: float | None
    """Standard error of `distance`, by the delta method; None where it has none or the estimate is within its noise."""
    power_error: float | None
    """Standard error of `power`; None for an approximation and for a single direction."""
    interval: tuple[float, float] | None
    """95 % confidence interval of SW_p; for an approximation what is certain."""
    power_interval: tuple[float, float] | None
    """The same of SW_p^p."""
    p: float
    method: str
    """What was used."""
    reason: str
    """Why."""
    n_projections: int
    """Directions that were used."""
    n_effective: float | None
    """Independent directions of plain Monte Carlo that would have the same standard error; None where it is 0."""
    n_replicates: int
    """Independent parts that the standard error comes from."""
    lower_bound: float | None
    """|m_x - m_y|^2 / d <= SW_2^2 for the means m; only for p = 2."""
    gaussian_bound: float | None
    """SW_2^2 of normal distributions with the same means and covariances, which is no larger; where it was computed."""
    upper_bound: float | None
    """(|m_x - m_y|^2 + tr S_x + tr S_y) / d >= SW_2^2 for the covariances S; only for p = 2."""
    clamped: bool
    """Whether the control variate's estimate was outside these bounds and was moved to the nearest one."""
    seed: int
    directions: np.ndarray[Any, Any] | None = None
    """(L, d), with `per_slice`."""
    slice_weights: np.ndarray[Any, Any] | None = None
    """(L,) of sum 1: what each direction counts in a plain mean, with `per_slice`; equal but for quadrature rules."""
    costs: np.ndarray[Any, Any] | None = None
    """(L,): W_p^p of the projections on each direction, with `per_slice`."""

    def __str__(self) -> str:
        certain = "95 %" if self.power_error is not None else "bounds"
        lines = head(f"SW_{self.p:g}", self.distance, self.distance_error, self.interval, within=certain)
        lines.append(f"SW_{self.p:g}^{self.p:g} = {self.power:.8g}")
        effective = "" if self.n_effective is None else f", worth {self.n_effective:.3g} independent ones"
        lines.append(f"{self.method}: {self.reason}; {self.n_projections} directions{effective}")
        return "\n".join(lines)

    def plot(self, path: str | os.PathLike[str]) -> Path:
        """Save a picture of SW_p^p with its interval against the number of directions; with `per_slice` also the way.

        The way is the mean of the costs so far, without any control; where a method has one, the estimate is beside it.

        Raises:
            PlotsNotInstalled: matplotlib is missing.
        """
        final = plots.Final(self.power, self.power_interval, self.n_projections)
        title = f"{self.method}, p = {self.p:g}, {self.n_projections} directions"
        return plots.convergence(self._replicate_means(), path, final=final, title=title)

    def _replicate_means(self) -> np.ndarray[Any, Any]:
        """(R,) means of the costs of each replicate; none without `per_slice`."""
        if self.costs is None or self.slice_weights is None:
            return np.empty(0)
        shares = self.slice_weights * self.costs * self.n_replicates
        return shares.reshape(self.n_replicates, -1).sum(axis=1)


def head(
    name: str, value: float, error: float | None, interval: tuple[float, float] | None, *, within: str = "95 %"
) -> list[str]:
    """The first lines of an estimate in words: the number with its standard error, and what it is within."""
    known = "" if error is None else f" +- {error:.2g} (standard error)"
    bounds = [] if interval is None else [f"{within}  [{interval[0]:.8g}, {interval[1]:.8g}]"]
    return [f"{name} = {value:.8g}{known}", *bounds]
